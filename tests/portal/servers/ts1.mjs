// A server of the TypeScript SDK 1.x (sessions): ts1.mjs --http PORT | --sse PORT | --stdio [--json]
import { answers, capabilities, LEGACY_METHODS, METHODS } from './features.mjs';
import { need, options, serve, Sessions } from './http.mjs';

const { Server } = need('@modelcontextprotocol/sdk/server/index.js');
const { StreamableHTTPServerTransport } = need('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { SSEServerTransport } = need('@modelcontextprotocol/sdk/server/sse.js');
const { StdioServerTransport } = need('@modelcontextprotocol/sdk/server/stdio.js');
const types = need('@modelcontextprotocol/sdk/types.js');

const SCHEMAS = {
  'tools/list': types.ListToolsRequestSchema,
  'tools/call': types.CallToolRequestSchema,
  'resources/list': types.ListResourcesRequestSchema,
  'resources/templates/list': types.ListResourceTemplatesRequestSchema,
  'resources/read': types.ReadResourceRequestSchema,
  'resources/subscribe': types.SubscribeRequestSchema,
  'resources/unsubscribe': types.UnsubscribeRequestSchema,
  'prompts/list': types.ListPromptsRequestSchema,
  'prompts/get': types.GetPromptRequestSchema,
  'completion/complete': types.CompleteRequestSchema,
};
const sessions = new Sessions();

function refuse(code, message, data) {
  const error = new types.McpError(code, message, data);
  error.message = message;
  return error;
}

function io(server, extra) {
  const token = extra._meta?.progressToken;
  const notify = (method, params) => extra.sendNotification({ method, params });
  return {
    isModern: false,
    signal: extra.signal,
    headers: extra.requestInfo?.headers,
    subscriptions: server.subscriptions,
    refuse,
    missing: wanted => refuse(-32600, `The client lacks ${Object.keys(wanted)}`),
    can: name => server.getClientCapabilities()?.[name] !== undefined,
    progress: async (progress, total) => token !== undefined && notify('notifications/progress', { progressToken: token, progress, total }),
    log: (level, data) => notify('notifications/message', { level, data }),
    changed: (method, params) => changed(method, params),
    endStream: () => extra.closeSSEStream?.(),
    async ask(requests) {
      const found = {};
      for (const [key, request] of Object.entries(requests)) {
        const needed = request.method.split('/')[0];
        if (server.getClientCapabilities()?.[needed] === undefined) throw refuse(-32600, `The client lacks ${needed}`);
        found[key] = await extra.sendRequest(request, types.ResultSchema);
        if (!answers(request, found[key])) throw refuse(-32602, `That is no answer: ${key}`);
      }
      return found;
    },
  };
}

/** For all who are there; what is about a resource, for who asked. */
async function changed(method, params) {
  for (const server of sessions.subscribers) {
    const isWanted = params?.uri === undefined || server.subscriptions.has(params.uri);
    if (isWanted) await server.notification({ method, params }).catch(() => sessions.subscribers.delete(server));
  }
}

async function connected(transport) {
  const server = new Server({ name: 'ts1', version: '1.0.0' }, { capabilities, instructions: 'A server of tests.' });
  server.subscriptions = new Set();
  for (const [method, handle] of Object.entries({ ...METHODS, ...LEGACY_METHODS })) {
    server.setRequestHandler(SCHEMAS[method], (request, extra) => handle(request.params ?? {}, io(server, extra)));
  }
  sessions.subscribers.add(server);
  server.onclose = () => sessions.subscribers.delete(server);
  await server.connect(transport);
  return transport;
}

const control = { forget: () => sessions.forget() };
if (options.stdio) await connected(new StdioServerTransport());
if (options.http) {
  const make = () => {
    const settings = sessions.options();
    const transport = new StreamableHTTPServerTransport({ ...settings, onsessioninitialized: id => settings.onsessioninitialized.call({ transport }, id) });
    return connected(transport);
  };
  serve(options.http, { '/mcp': sessions.handler(make) }, control);
}
if (options.sse) {
  const streams = new Map();
  serve(options.sse, {
    '/sse': async (_, response) => {
      const transport = new SSEServerTransport('/messages', response);
      streams.set(transport.sessionId, transport);
      response.on('close', () => streams.delete(transport.sessionId));
      await connected(transport);
    },
    '/messages': (request, response) => {
      const transport = streams.get(new URL(request.url, 'http://server').searchParams.get('sessionId'));
      return transport ? transport.handlePostMessage(request, response) : response.writeHead(404).end();
    },
  }, control);
}
