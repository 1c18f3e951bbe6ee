// The client under test in the scenarios that MCP's conformance suite has for clients:
//
//   conformance client --command "node scenario.mjs" --scenario NAME
//
// The suite gives the address of its server as the last word, and the scenario in the environment. With
// SHADOWTAP_PORTAL=PROGRAM the portal is put between: what the suite sees then is the portal as a client.
// SHADOWTAP_PORTAL_FILE is a file with what the portal reads, in which URL and PORT stand for its server
// and its own port, and CLIENT_ID and ISSUER for what an operator is given by an authorization server.
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

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

/** The issuer that a server names: an operator reads it up where the portal is registered by hand. */
async function issuer() {
  const { origin, pathname } = new URL(server);
  const metadata = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  return (await metadata.json()).authorization_servers[0];
}

/** Puts the portal before the suite's server: its address, and how it is ended. */
async function portal() {
  const folder = mkdtempSync(join(tmpdir(), 'portal-'));
  const port = await freePort();
  let text = readFileSync(process.env.SHADOWTAP_PORTAL_FILE, 'utf8').replaceAll('PORT', port).replaceAll('URL', server);
  if (context.client_id) text = text.replaceAll('CLIENT_ID', context.client_id).replaceAll('ISSUER', await issuer());
  const file = join(folder, 'portal.yaml');
  writeFileSync(file, text);
  writeFileSync(join(folder, 'session-keys'), `1:${'0'.repeat(63)}1\n`);
  writeFileSync(join(folder, 'vault-keys'), `a: ${'0'.repeat(63)}1\n`);
  writeFileSync(join(folder, 'client-secret'), context.client_secret ?? 'none');
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

/** A person with a browser follows the portal's link and agrees. */
async function agree(link) {
  const cookies = new Map();
  const go = async (to, init = {}) => {
    const isPortal = new URL(to).origin === new URL(url).origin;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(to, { redirect: 'manual', headers: isPortal && cookie ? { cookie } : {}, ...init });
    for (const line of isPortal ? answer.headers.getSetCookie() : []) {
      const [name, value] = line.split(';')[0].split('=');
      cookies.set(name, value);
    }
    return answer;
  };
  const page = await (await go(link)).text();
  const ticket = /name=ticket value="([^"]*)"/.exec(page)?.[1];
  if (!ticket) throw new Error(page);
  let answer = await go(link, { method: 'POST', body: new URLSearchParams({ ticket, action: 'connect' }) });
  for (let hops = 0; answer.status >= 300 && answer.status < 400 && hops < 5; hops += 1) answer = await go(answer.headers.get('location'));
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
}

/** How often a person agrees before they give up. */
const MAX_CONSENTS = 3;
let consents = 0;

/** Does something, and does it again when the person who had to agree first has done so. */
async function tried(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const link = /needs your consent first: (\S+)/.exec(error.message)?.[1];
      if (!link || consents === MAX_CONSENTS) throw error;
      consents += 1;
      await agree(link);
    }
  }
}

const modern = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28';
let client;
async function connect() {
  client = new Client({ name: 'scenario', version: '1.0.0' }, {
    capabilities: { ...capabilities, elicitation: { form: { applyDefaults: true } } },
    versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'auto' },
  });
  client.setRequestHandler('sampling/createMessage', () => SAID.sample);
  client.setRequestHandler('roots/list', () => SAID.roots);
  client.setRequestHandler('elicitation/create', ({ params }) =>
    scenario === 'elicitation-sep1034-client-defaults' ? { action: 'accept', content: {} } : SAID.elicit(params));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
}

try {
  await tried(connect);
  // What there is to use is used: what a scenario wants to see is among it.
  const has = client.getServerCapabilities() ?? {};
  const { tools } = has.tools ? await tried(() => client.listTools()) : { tools: [] };
  const call = (name, args) =>
    tried(() => client.callTool({ name, arguments: args })).catch(error => console.error(name, error.message));
  const { toolCalls = [] } = context;
  for (const { name, arguments: args } of toolCalls) await call(name, args);
  for (const tool of toolCalls.length > 0 ? [] : tools) {
    const args = scenario === 'tools_call' ? { a: 5, b: 3 } : fitting(tool.inputSchema);
    // A schema is asked for to see whether it came through whole.
    if (args.schema) args.schema = tools.find(other => other !== tool)?.inputSchema;
    await call(tool.name, args);
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
