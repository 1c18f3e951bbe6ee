// A client of the TypeScript SDK 2.x:
// ts2.mjs --url URL | --stdio -- PROGRAM ARGS [--mode auto|legacy|2026-07-28]
import { capabilities, command, headers, need, options, run, SAID } from './features.mjs';

const { Client, StreamableHTTPClientTransport } = need('@modelcontextprotocol/client');
const { StdioClientTransport } = need('@modelcontextprotocol/client/stdio');

const LEVEL = 'io.modelcontextprotocol/logLevel';

await run(async () => {
  const mode = ['auto', 'legacy'].includes(options.mode) ? options.mode : { pin: options.mode };
  const client = new Client({ name: 'ts2-client', version: '2.0.0' }, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler('sampling/createMessage', () => SAID.sample);
  client.setRequestHandler('roots/list', () => SAID.roots);
  client.setRequestHandler('elicitation/create', ({ params }) => SAID.elicit(params));
  client.heard = [];
  client.fallbackNotificationHandler = async ({ method, params }) => client.heard.push([method, params]);
  const way = options.stdio
    ? new StdioClientTransport({ command: command[0], args: command.slice(1), env: process.env })
    : new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } });
  await client.connect(way);
  client.revision = client.getNegotiatedProtocolVersion();
  client.isModern = client.getProtocolEra() === 'modern';
  client.call = (name, args, { onProgress, signal, logLevel }) => {
    const meta = client.isModern && logLevel ? { _meta: { [LEVEL]: logLevel } } : {};
    return client.callTool({ name, arguments: args, ...meta }, { onprogress: onProgress, signal });
  };
  let listening;
  client.watch = async uri => {
    if (!client.isModern) return client.subscribeResource({ uri });
    listening = await client.listen({ toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: [uri] });
  };
  client.unwatch = uri => (client.isModern ? listening.close() : client.unsubscribeResource({ uri }));
  client.end = async () => {
    await way.terminateSession?.();
    await client.close();
  };
  return client;
});
