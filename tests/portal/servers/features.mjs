// What every server of the tests does, whatever SDK carries it: the fixture of MCP's conformance suite
// and more. `io` is the way to the client that the SDK offers:
//
//   progress(done, total)  log(level, data)  signal  headers
//   ask({key: {method, params}}, state)   the client's answers by key: by requests of the server, or by
//                                         a result that asks (MCP 2026-07-28), thrown as a `Pause`
//   state                                 what `ask` was given when the client was asked before
//   can(capability)                       whether the client declared it
//   changed(method, params)               a notification for whoever listens
//   endStream()                           ends the stream of this request, not the request
//   refuse(code, message, data)           an error to throw
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const catalogue = JSON.parse(readFileSync(new URL('catalogue.json', import.meta.url), 'utf8'));

/** Thrown by `io.ask` where the client is asked by a result. */
export class Pause extends Error {
  constructor(requests, state) {
    super('the client is asked');
    this.requests = requests;
    this.state = state;
  }
}

/** What tests may look at. */
export const seen = { cancelled: 0, finished: 0, calls: 0, headers: {}, sessions: 0 };

const INVALID_PARAMS = -32602;
const say = text => ({ content: [{ type: 'text', text }] });
const form = (message, properties, required) => ({
  method: 'elicitation/create',
  params: { message, requestedSchema: { type: 'object', properties, ...(required ? { required } : {}) } },
});
const text = { type: 'string' };
const sample = (prompt, maxTokens = 100) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens },
});
const roots = { method: 'roots/list', params: {} };
const NAME = form('What is your name?', { name: text }, ['name']);

/** Whether an answer is one to the request; the client may say anything. */
export function answers(request, answer) {
  if (answer === null || typeof answer !== 'object') return false;
  if (request.method === 'roots/list') return Array.isArray(answer.roots);
  if (request.method === 'sampling/createMessage') return typeof answer.role === 'string' && answer.content !== undefined;
  if (!['accept', 'decline', 'cancel'].includes(answer.action)) return false;
  const wanted = request.params.requestedSchema?.required ?? [];
  return answer.action !== 'accept' || wanted.every(key => answer.content?.[key] !== undefined);
}

const sampled = answer => [answer.content].flat().map(part => part.text ?? part.type).join(' ');

const ENUMS = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: {
    type: 'string',
    oneOf: [1, 2, 3].map(n => ({ const: `value${n}`, title: `${['First', 'Second', 'Third'][n - 1]} Option` })),
  },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
  titledMulti: {
    type: 'array',
    items: { anyOf: [1, 2, 3].map(n => ({ const: `value${n}`, title: `${['First', 'Second', 'Third'][n - 1]} Choice` })) },
  },
};

async function asksWithState(io) {
  await io.ask({ confirm: form('Please confirm', { ok: { type: 'boolean' } }, ['ok']) }, { kept: 'yes' });
  if (io.isModern && io.state?.kept !== 'yes') throw io.refuse(INVALID_PARAMS, 'The state did not come back');
  return say('state-ok');
}

const TOOLS = {
  async test_tool_with_logging(_, io) {
    for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await io.log('info', line);
      await sleep(50);
    }
    return say('Tool with logging executed');
  },
  async test_tool_with_progress(_, io) {
    for (const done of [0, 50, 100]) {
      await io.progress(done, 100);
      await sleep(50);
    }
    return say('Tool with progress executed');
  },
  async test_sampling({ prompt }, io) {
    return say(`LLM response: ${sampled((await io.ask({ model: sample(prompt) })).model)}`);
  },
  async test_elicitation({ message }, io) {
    const { user } = await io.ask({ user: form(message, { username: { ...text, description: "User's response" }, email: { ...text, description: "User's email address" } }, ['username', 'email']) });
    return say(`User response: action=${user.action}, content=${JSON.stringify(user.content ?? {})}`);
  },
  async test_elicitation_sep1034_defaults(_, io) {
    const { user } = await io.ask({
      user: form('Please look through these values', {
        name: { ...text, default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { ...text, enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      }),
    });
    return say(`Elicitation completed: action=${user.action}, content=${JSON.stringify(user.content ?? {})}`);
  },
  async test_elicitation_sep1330_enums(_, io) {
    const { user } = await io.ask({ user: form('Please choose', ENUMS) });
    return say(`Elicitation completed: action=${user.action}, content=${JSON.stringify(user.content ?? {})}`);
  },
  async test_reconnection(_, io) {
    await sleep(50);
    io.endStream();
    await sleep(200);
    return say('Reconnection test completed');
  },
  async test_input_required_result_elicitation(_, io) {
    const { user_name: user } = await io.ask({ user_name: NAME });
    return say(`Hello, ${user.content?.name ?? 'stranger'}!`);
  },
  async test_input_required_result_sampling(_, io) {
    return say(sampled((await io.ask({ capital_question: sample('What is the capital of France?') })).capital_question));
  },
  async test_input_required_result_list_roots(_, io) {
    const { client_roots: found } = await io.ask({ client_roots: roots });
    return say(`Roots: ${found.roots.map(root => root.uri).join(' ')}`);
  },
  test_input_required_result_request_state: (_, io) => asksWithState(io),
  test_input_required_result_tampered_state: (_, io) => asksWithState(io),
  async test_input_required_result_multiple_inputs(_, io) {
    const all = await io.ask({ user_name: NAME, greeting: sample('Generate a greeting', 50), client_roots: roots }, { kept: 'yes' });
    return say(`${sampled(all.greeting)} ${all.user_name.content?.name} ${all.client_roots.roots.length}`);
  },
  async test_input_required_result_multi_round(_, io) {
    const first = form('Step 1: What is your name?', { name: text }, ['name']);
    const name = io.state?.name ?? (await io.ask({ step1: first }, { round: 1 })).step1.content?.name;
    const second = form('Step 2: What is your favorite color?', { color: text }, ['color']);
    const color = (await io.ask({ step2: second }, { round: 2, name })).step2.content?.color;
    return say(`${name} likes ${color}`);
  },
  async test_input_required_result_capabilities(_, io) {
    const wanted = {};
    if (io.can('sampling')) wanted.model = sample('Say something', 20);
    if (io.can('elicitation')) wanted.user_name = NAME;
    if (io.can('roots')) wanted.client_roots = roots;
    return say(Object.keys(await io.ask(wanted)).join(' '));
  },
  async test_missing_capability(_, io) {
    if (!io.can('sampling')) throw io.missing({ sampling: {} });
    return say('The client can sample');
  },
  async test_streaming_elicitation(_, io) {
    await io.progress(1, 2);
    if (!io.can('elicitation')) return say('The client has nobody to ask');
    return say((await io.ask({ user_name: NAME })).user_name.action);
  },
  async test_logging_tool(_, io) {
    await io.log('info', 'Something was done');
    return say('logged');
  },
  async test_trigger_tool_change(_, io) {
    await io.changed('notifications/tools/list_changed');
    return say('changed');
  },
  async test_trigger_prompt_change(_, io) {
    await io.changed('notifications/prompts/list_changed');
    return say('changed');
  },
  async test_trigger_resource_update(_, io) {
    await io.changed('notifications/resources/updated', { uri: 'test://watched-resource' });
    return say('changed');
  },
  test_custom_header: ({ region, shards }) => say(`${region} ${shards ?? ''}`.trim()),
  echo: ({ text: echoed }) => ({ ...say(echoed), structuredContent: { echoed } }),
  async slow({ milliseconds }, io) {
    try {
      await sleep(milliseconds, undefined, { signal: io.signal });
    } catch {
      seen.cancelled += 1;
      throw io.refuse(-32603, 'cancelled');
    }
    seen.finished += 1;
    return say(`after ${milliseconds} ms`);
  },
  big: ({ bytes }) => say('x'.repeat(bytes)),
  seen: (_, io) => say(JSON.stringify(io.headers ?? {})),
};

const list = { listChanged: true };
export const capabilities = { tools: list, prompts: list, resources: { ...list, subscribe: true }, completions: {}, logging: {} };

/** A page of a list, where pages are asked for. */
function page(name, items, cursor, io) {
  const size = Number(process.env.PAGE_SIZE ?? 0);
  if (!size) return { [name]: items };
  const start = cursor === undefined ? 0 : Number(cursor);
  if (!Number.isInteger(start) || start < 0 || start > items.length) throw io.refuse(INVALID_PARAMS, 'No such page');
  const next = start + size;
  return { [name]: items.slice(start, next), ...(next < items.length ? { nextCursor: String(next) } : {}) };
}

/** Puts arguments where they belong. */
function filled(value, args) {
  const put = (whole, key) => args[key] ?? whole;
  return JSON.parse(JSON.stringify(value), (_, part) => (typeof part === 'string' ? part.replace(/\{(\w+)\}/g, put) : part));
}

function read(uri, io) {
  const found = catalogue.resources.find(resource => resource.definition.uri === uri);
  if (found) return { contents: [{ uri, ...found.contents }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (!id) throw io.refuse(io.isModern ? INVALID_PARAMS : -32002, 'Resource not found', { uri });
  const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { contents: [{ uri, mimeType: 'application/json', text: data }] };
}

async function prompt({ name, arguments: args = {} }, io) {
  const found = catalogue.prompts.find(({ definition }) => definition.name === name);
  if (!found) throw io.refuse(INVALID_PARAMS, `No such prompt: ${name}`);
  let values = args;
  if (name === 'test_input_required_result_prompt') {
    const question = form('What context should the prompt use?', { context: text }, ['context']);
    values = (await io.ask({ user_context: question })).user_context.content ?? {};
  }
  return { description: found.definition.description, messages: filled(found.messages, values) };
}

async function call({ name, arguments: args = {} }, io) {
  const found = catalogue.tools.find(({ definition }) => definition.name === name);
  if (!found) throw io.refuse(INVALID_PARAMS, `Unknown tool: ${name}`);
  seen.calls += 1;
  return found.answer ?? (await TOOLS[name](args, io));
}

/** By method: (params, io) to a result. */
export const METHODS = {
  'tools/list': (params, io) => page('tools', catalogue.tools.map(tool => tool.definition), params.cursor, io),
  'tools/call': call,
  'resources/list': (params, io) => page('resources', catalogue.resources.map(resource => resource.definition), params.cursor, io),
  'resources/templates/list': (params, io) => page('resourceTemplates', catalogue.templates, params.cursor, io),
  'resources/read': (params, io) => read(params.uri, io),
  'prompts/list': (params, io) => page('prompts', catalogue.prompts.map(each => each.definition), params.cursor, io),
  'prompts/get': prompt,
  'completion/complete': ({ argument }) => {
    const values = ['paris', 'park', 'party'].filter(word => word.startsWith(argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  },
};

export const LEGACY_METHODS = {
  'resources/subscribe': ({ uri }, io) => (io.subscriptions.add(uri), {}),
  'resources/unsubscribe': ({ uri }, io) => (io.subscriptions.delete(uri), {}),
};
