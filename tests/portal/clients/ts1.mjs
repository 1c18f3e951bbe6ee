// A client of the TypeScript SDK 1.x (sessions): ts1.mjs --url URL | --sse URL | --stdio -- PROGRAM ARGS
import { capabilities, command, headers, need, options, run, SAID } from './features.mjs';

const { Client } = need('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = need('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { SSEClientTransport } = need('@modelcontextprotocol/sdk/client/sse.js');
const { StdioClientTransport } = need('@modelcontextprotocol/sdk/client/stdio.js');
const types = need('@modelcontextprotocol/sdk/types.js');

function transport() {
  const requestInit = { headers };
  if (options.stdio) return new StdioClientTransport({ command: command[0], args: command.slice(1), env: process.env });
  if (options.sse) return new SSEClientTransport(new URL(options.sse), { requestInit });
  return new StreamableHTTPClientTransport(new URL(options.url), { requestInit });
}

await run(async () => {
  const client = new Client({ name: 'ts1-client', version: '1.0.0' }, { capabilities });
  client.setRequestHandler(types.CreateMessageRequestSchema, () => SAID.sample);
  client.setRequestHandler(types.ListRootsRequestSchema, () => SAID.roots);
  client.setRequestHandler(types.ElicitRequestSchema, ({ params }) => SAID.elicit(params));
  client.heard = [];
  client.fallbackNotificationHandler = async ({ method, params }) => client.heard.push([method, params]);
  const way = transport();
  await client.connect(way);
  client.revision = way.protocolVersion ?? 'unknown';
  client.isModern = false;
  client.call = (name, args, { onProgress, signal }) =>
    client.callTool({ name, arguments: args }, undefined, { onprogress: onProgress, signal });
  client.watch = uri => client.subscribeResource({ uri });
  client.unwatch = uri => client.unsubscribeResource({ uri });
  client.end = async () => {
    await way.terminateSession?.();
    await client.close();
  };
  return client;
});
