// What servers of the tests have in common at the edge: options, packages, and a listener on loopback
// that knows whom it may serve, with a page for tests beside the endpoints.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

import { seen } from './features.mjs';

/** A package of those that deploy/portal-tests/install.sh fetched. */
export const need = createRequire(`${process.env.SHADOWTAP_PORTAL_TESTS ?? new URL('../../../target/portal-tests', import.meta.url).pathname}/`);

export const options = parseArgs({
  options: { http: { type: 'string' }, sse: { type: 'string' }, stdio: { type: 'boolean' }, eras: { type: 'string', default: 'both' }, json: { type: 'boolean' } },
}).values;

const isLocal = host => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host ?? '');

/** Whether a page of somebody else's could have sent it (DNS rebinding). */
function isForeign({ headers }) {
  return !isLocal(headers.host) || (headers.origin !== undefined && !isLocal(headers.origin.replace(/^https?:\/\//, '')));
}

/** Serves `handlers[path]`; `control` are what tests may ask for by POST to /control/NAME. */
export function serve(port, handlers, control) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://server');
    if (isForeign(request)) return response.writeHead(403).end();
    if (pathname === '/control/seen') return response.end(JSON.stringify(seen));
    const asked = control[pathname.replace('/control/', '')];
    if (asked) return Promise.resolve(asked()).then(() => response.end('done'));
    const handler = handlers[pathname];
    if (!handler) return response.writeHead(404).end();
    seen.headers = request.headers;
    Promise.resolve(handler(request, response)).catch(error => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(port), '127.0.0.1', () => console.error(`listening on ${server.address().port}`));
}

/** Events of streams, so that a client may go on where a stream ended. */
export class Events {
  #all = [];
  async storeEvent(streamId, message) {
    const id = `${streamId}_${this.#all.length}_${randomUUID().slice(0, 8)}`;
    this.#all.push({ id, streamId, message });
    return id;
  }
  async getStreamIdForEventId(id) {
    return this.#all.find(event => event.id === id)?.streamId;
  }
  async replayEventsAfter(last, { send }) {
    const at = this.#all.findIndex(event => event.id === last);
    const { streamId } = this.#all[at];
    for (const event of this.#all.slice(at + 1)) {
      if (event.streamId === streamId && event.message.jsonrpc) await send(event.id, event.message);
    }
    return streamId;
  }
}

/** Sessions by id, with a transport and a server of the SDK each. */
export class Sessions {
  #transports = new Map();
  subscribers = new Set();

  /** `make(initialized)` gives a transport that is connected. */
  handler(make) {
    return async (request, response) => {
      const id = request.headers['mcp-session-id'];
      if (id && !this.#transports.has(id)) {
        const error = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } };
        return response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify(error));
      }
      const transport = id ? this.#transports.get(id) : await make(this);
      await transport.handleRequest(request, response, request.body);
    };
  }

  options() {
    const own = this;
    return {
      sessionIdGenerator: () => randomUUID(),
      eventStore: new Events(),
      retryInterval: 50,
      enableJsonResponse: Boolean(options.json),
      onsessioninitialized(id) {
        own.#transports.set(id, this.transport);
        seen.sessions = own.#transports.size;
      },
      onsessionclosed(id) {
        own.#transports.delete(id);
        seen.sessions = own.#transports.size;
      },
    };
  }

  /** Ends all, as a restart does. */
  forget() {
    this.#transports.clear();
    this.subscribers.clear();
    seen.sessions = 0;
  }
}
