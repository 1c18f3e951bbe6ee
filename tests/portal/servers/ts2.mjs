// A server of the TypeScript SDK 2.x, of both eras or of one:
// ts2.mjs --http PORT | --stdio [--eras both|modern|legacy] [--json]
import { randomBytes } from 'node:crypto';

import { answers, capabilities, catalogue, LEGACY_METHODS, METHODS, Pause } from './features.mjs';
import { need, options, serve, Sessions } from './http.mjs';

const sdk = need('@modelcontextprotocol/server');
const { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } = need('@modelcontextprotocol/node');
const { serveStdio } = need('@modelcontextprotocol/server/stdio');

const sessions = new Sessions();
const states = sdk.createRequestStateCodec({ key: randomBytes(32) });
let modern;

function io(server, ctx, isModern) {
  const token = ctx.mcpReq._meta?.progressToken;
  const notify = (method, params) => ctx.mcpReq.notify({ method, params });
  const declared = () => (isModern ? ctx.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] : server.getClientCapabilities()) ?? {};
  return {
    isModern,
    signal: ctx.mcpReq.signal,
    headers: ctx.http?.req && Object.fromEntries(ctx.http.req.headers),
    subscriptions: server.subscriptions,
    state: ctx.mcpReq.requestState(),
    refuse: (code, message, data) => new sdk.ProtocolError(code, message, data),
    missing: requiredCapabilities => new sdk.MissingRequiredClientCapabilityError({ requiredCapabilities }),
    can: name => declared()[name] !== undefined,
    progress: async (progress, total) => token !== undefined && notify('notifications/progress', { progressToken: token, progress, total }),
    log: (level, data) => ctx.mcpReq.log(level, data),
    changed: (method, params) => changed(method, params),
    endStream: () => ctx.http?.closeSSE?.(),
    async ask(requests, state) {
      const given = ctx.mcpReq.inputResponses ?? {};
      // What the client has answered already is not asked again; what is no answer is.
      const open = Object.entries(requests).filter(([key, request]) => !answers(request, given[key]));
      if (open.length > 0) throw new Pause(Object.fromEntries(open), state);
      return given;
    },
  };
}

async function changed(method, params) {
  for (const server of sessions.subscribers) {
    const isWanted = params?.uri === undefined || server.isModern || server.subscriptions.has(params.uri);
    if (isWanted) await server.notification({ method, params }).catch(() => sessions.subscribers.delete(server));
  }
  if (method === 'notifications/tools/list_changed') modern?.notify.toolsChanged();
  if (method === 'notifications/prompts/list_changed') modern?.notify.promptsChanged();
  if (method === 'notifications/resources/updated') modern?.notify.resourceUpdated(params.uri);
}

/** The SDK checks `Mcp-Param-*` by the schemas of its own list of tools: ours is elsewhere. */
class Catalogue extends sdk.McpServer {
  toolInputSchemaJson(name) {
    return catalogue.tools.find(({ definition }) => definition.name === name)?.definition.inputSchema;
  }
}

function make({ era }) {
  const isModern = era === 'modern';
  const whole = new Catalogue({ name: 'ts2', version: '2.0.0' }, {
    capabilities,
    instructions: 'A server of tests.',
    requestState: { verify: states.verify },
    cacheHints: { 'tools/list': { ttlMs: 60_000, cacheScope: 'public' } },
  });
  const { server } = whole;
  server.subscriptions = new Set();
  for (const [method, handle] of Object.entries({ ...METHODS, ...(isModern ? {} : LEGACY_METHODS) })) {
    server.setRequestHandler(method, async (request, ctx) => {
      try {
        return await handle(request.params ?? {}, io(server, ctx, isModern));
      } catch (error) {
        if (!(error instanceof Pause)) throw error;
        const requestState = error.state === undefined ? undefined : await states.mint(error.state, ctx);
        return sdk.inputRequired({ inputRequests: error.requests, ...(requestState ? { requestState } : {}) });
      }
    });
  }
  server.isModern = isModern;
  // Over stdio the SDK knows who listens for what; over HTTP a modern server is there for one request.
  if (!isModern || options.stdio) {
    sessions.subscribers.add(server);
    server.onclose = () => sessions.subscribers.delete(server);
  }
  return whole;
}

if (options.stdio) serveStdio(make, { legacy: options.eras === 'modern' ? 'reject' : 'serve' });
if (options.http) {
  modern = sdk.createMcpHandler(make, { legacy: 'reject' });
  const stateless = toNodeHandler(modern);
  const sessionful = sessions.handler(async () => {
    const settings = sessions.options();
    const transport = new NodeStreamableHTTPServerTransport({ ...settings, onsessioninitialized: id => settings.onsessioninitialized.call({ transport }, id) });
    await make({ era: 'legacy' }).connect(transport);
    return transport;
  });
  serve(options.http, {
    async '/mcp'(request, response) {
      if (options.eras === 'modern') return stateless(request, response);
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      let body;
      try {
        body = text === '' ? undefined : JSON.parse(text);
      } catch {
        return response.writeHead(400, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}');
      }
      const isLegacy = options.eras === 'legacy' || (await sdk.isLegacyRequest(await toWebRequest(request, body), body));
      request.body = body;
      return isLegacy ? sessionful(request, response) : stateless(request, response, body);
    },
  }, { forget: () => sessions.forget() });
}
