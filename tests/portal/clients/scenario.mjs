// The client under test in the scenarios that MCP's conformance suite has for clients:
//
//   conformance client --command "node scenario.mjs" --scenario NAME
//
// The suite gives the address of its server as the last word, and the scenario in the environment. With
// SHADOWTAP_PORTAL=PROGRAM the portal is put between: what the suite sees then is the portal as a client.
// SHADOWTAP_PORTAL_FILE is a file with what the portal reads, in which URL and PORT stand for its server
// and its own port.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { capabilities, need, SAID } from './features.mjs';

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const server = process.argv.at(-1);

const { Client, StreamableHTTPClientTransport } = need('@modelcontextprotocol/client');

const freePort = () =>
  new Promise(resolve => {
    const listener = createServer().listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
const listens = port =>
  new Promise(resolve => {
    const socket = connectTo(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', () => resolve(false));
  });

/** Puts the portal before the suite's server: its address, and how it is ended. */
async function portal() {
  const folder = mkdtempSync(join(tmpdir(), 'portal-'));
  const port = await freePort();
  const text = readFileSync(process.env.SHADOWTAP_PORTAL_FILE, 'utf8').replaceAll('PORT', port).replaceAll('URL', server);
  const file = join(folder, 'portal.yaml');
  writeFileSync(file, text);
  writeFileSync(join(folder, 'session-keys'), `1:${'0'.repeat(63)}1\n`);
  const child = spawn(process.env.SHADOWTAP_PORTAL, ['portal', '--config', file], { stdio: ['ignore', 2, 2], cwd: folder });
  for (let tries = 0; tries < 200 && !(await listens(port)); tries += 1) await sleep(50);
  const end = async () => {
    child.kill('SIGTERM');
    await new Promise(resolve => (child.exitCode === null ? child.on('exit', resolve) : resolve()));
    rmSync(folder, { recursive: true });
  };
  return { url: `http://127.0.0.1:${port}/mcp/suite`, end };
}

const { url, end } = process.env.SHADOWTAP_PORTAL ? await portal() : { url: server, end: async () => {} };

/** Arguments that fit a schema. */
function fitting(schema) {
  const args = {};
  for (const [key, part] of Object.entries(schema?.properties ?? {})) {
    args[key] = { integer: 3, number: 2.5, boolean: true, array: [], object: {} }[part.type] ?? `some ${key}`;
  }
  return args;
}

const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28';
const client = new Client({ name: 'scenario', version: '1.0.0' }, {
  capabilities: { ...capabilities, elicitation: { form: { applyDefaults: true } } },
  versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'auto' },
});
client.setRequestHandler('sampling/createMessage', () => SAID.sample);
client.setRequestHandler('roots/list', () => SAID.roots);
client.setRequestHandler('elicitation/create', ({ params }) =>
  scenario === 'elicitation-sep1034-client-defaults' ? { action: 'accept', content: {} } : SAID.elicit(params));

try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  // What there is to use is used: what a scenario wants to see is among it.
  const has = client.getServerCapabilities() ?? {};
  const { tools } = has.tools ? await client.listTools() : { tools: [] };
  const { toolCalls = [] } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
  for (const { name, arguments: args } of toolCalls) {
    await client.callTool({ name, arguments: args }).catch(error => console.error(name, error.message));
  }
  for (const tool of toolCalls.length > 0 ? [] : tools) {
    const args = scenario === 'tools_call' ? { a: 5, b: 3 } : fitting(tool.inputSchema);
    // A schema is asked for to see whether it came through whole.
    if (args.schema) args.schema = tools.find(other => other !== tool)?.inputSchema;
    await client.callTool({ name: tool.name, arguments: args }).catch(error => console.error(tool.name, error.message));
  }
  if (has.prompts) {
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name }).catch(error => console.error(name, error.message));
  }
  if (has.resources) {
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri }).catch(error => console.error(uri, error.message));
  }
  await client.close();
} finally {
  await end();
}
process.exit(0);
