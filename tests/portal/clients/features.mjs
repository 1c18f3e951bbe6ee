// What every client of the tests does, whatever SDK carries it. Each feature is tried by itself and
// told as one line of JSON: {"feature", "ok", "detail"}. `client` has the methods of the SDK, and:
//
//   call(name, args, {onProgress, signal})   of a tool, by the name that it has here
//   isModern                                 MCP 2026-07-28
//   heard                                    notifications, [method, params]
//   watch(uri), unwatch()                    asks to be told of changes
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

export const need = createRequire(`${process.env.SHADOWTAP_PORTAL_TESTS ?? new URL('../../../target/portal-tests', import.meta.url).pathname}/`);

export const options = parseArgs({
  options: {
    url: { type: 'string' },
    sse: { type: 'string' },
    token: { type: 'string' },
    mode: { type: 'string', default: 'auto' },
    only: { type: 'string' },
    stdio: { type: 'boolean' },
  },
  allowPositionals: true,
}).values;
/** Behind `--`: the program of a server over stdio. */
export const command = process.argv.slice(process.argv.indexOf('--') + 1);

export const headers = options.token ? { authorization: `Bearer ${options.token}` } : {};

/** What the client of the tests says when it is asked. */
export const SAID = {
  sample: { role: 'assistant', content: { type: 'text', text: 'Paris' }, model: 'test-model', stopReason: 'endTurn' },
  roots: { roots: [{ uri: 'file:///home/test', name: 'test' }] },
  elicit: ({ requestedSchema }) => {
    const content = {};
    for (const [key, schema] of Object.entries(requestedSchema?.properties ?? {})) {
      const choices = schema.enum ?? schema.oneOf?.map(one => one.const);
      if (schema.type === 'array') content[key] = [];
      else if (schema.default !== undefined) content[key] = schema.default;
      else if (choices) content[key] = choices[0];
      else content[key] = { boolean: true, integer: 1, number: 1.5 }[schema.type] ?? `some ${key}`;
    }
    return { action: 'accept', content };
  },
};
export const capabilities = { sampling: {}, elicitation: {}, roots: {} };

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
function is(found, wanted) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}
const holds = (what, why) => {
  if (!what) throw new Error(why);
};
async function until(what, why) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (what()) return;
    await sleep(30);
  }
  throw new Error(`never: ${why}`);
}
async function code(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  throw new Error('no error');
}
const text = result => result.content.map(part => part.text).join('');

/** All pages of a list. */
async function pages(list, key) {
  const all = [];
  let cursor;
  let count = 0;
  do {
    const page = await list(cursor === undefined ? undefined : { cursor });
    all.push(...page[key]);
    cursor = page.nextCursor;
    count += 1;
    holds(count < 100, 'pages without end');
  } while (cursor !== undefined);
  return all;
}

/** Finds what a name became: itself, or behind a prefix. */
const named = (items, name) => {
  const found = items.find(item => item.name === name) ?? items.find(item => item.name.endsWith(name));
  holds(found, `no ${name}`);
  return found;
};

export function features(client) {
  let tools = [];
  let prompts = [];
  const call = async (name, args = {}, more = {}) => client.call(named(tools, name).name, args, more);
  return {
    async tools_list() {
      tools = await pages(params => client.listTools(params), 'tools');
      const echo = named(tools, 'echo');
      is(echo.annotations?.readOnlyHint, true);
      is(echo.outputSchema.required, ['echoed']);
      is(named(tools, 'json_schema_2020_12_tool').inputSchema.$defs.address.$anchor, 'addressDef');
      return tools.length;
    },
    async text() {
      is(text(await call('test_simple_text')), 'This is a simple text response for testing.');
    },
    async mixed_content() {
      const { content } = await call('test_multiple_content_types');
      is(content.map(part => part.type), ['text', 'image', 'resource']);
    },
    async structured() {
      const result = await call('echo', { text: 'grüße \u{1f980}' });
      is([text(result), result.structuredContent], ['grüße \u{1f980}', { echoed: 'grüße \u{1f980}' }]);
    },
    async error() {
      is((await call('test_error_handling')).isError, true);
    },
    async unknown_tool() {
      holds(typeof (await code(client.call('there_is_no_such_tool', {}, {}))) === 'number', 'no code');
    },
    async metadata() {
      const result = await call('with_meta');
      is(result._meta['test.example/whole'], { kept: true });
      is(result.content[0]._meta['test.example/part'], 1);
      is(result.content[0].annotations.audience, ['user']);
    },
    async link() {
      is((await call('linked')).content[0].type, 'resource_link');
    },
    async progress() {
      const heard = [];
      await call('test_tool_with_progress', {}, { onProgress: ({ progress }) => heard.push(progress) });
      is(heard, [0, 50, 100]);
    },
    async logging() {
      const before = client.heard.length;
      if (!client.isModern) await client.setLoggingLevel('debug');
      await call('test_tool_with_logging', {}, { logLevel: 'debug' });
      const lines = () => client.heard.slice(before).filter(([method]) => method === 'notifications/message').length;
      await until(() => lines() === 3, 'three lines');
    },
    async sampling() {
      is(text(await call('test_sampling', { prompt: 'What?' })), 'LLM response: Paris');
    },
    async elicitation() {
      const said = text(await call('test_elicitation', { message: 'Who?' }));
      holds(said.startsWith('User response: action=accept') && said.includes('some email'), said);
    },
    async roots() {
      is(text(await call('test_input_required_result_list_roots')), 'Roots: file:///home/test');
    },
    async asked_for_three_things() {
      is(text(await call('test_input_required_result_multiple_inputs')), 'Paris some name 1');
    },
    async asked_twice() {
      is(text(await call('test_input_required_result_multi_round')), 'some name likes some color');
    },
    async asked_with_state() {
      is(text(await call('test_input_required_result_request_state')), 'state-ok');
    },
    async header_arguments() {
      is(text(await call('test_custom_header', { region: 'eu west', shards: 3 })), 'eu west 3');
    },
    async big() {
      is(text(await call('big', { bytes: 1_000_000 })).length, 1_000_000);
    },
    async reconnection() {
      is(text(await call('test_reconnection')), 'Reconnection test completed');
    },
    async at_once() {
      const all = Array.from({ length: 16 }, (_, n) => call('echo', { text: `call ${n}` }).then(text));
      is(await Promise.all(all), all.map((_, n) => `call ${n}`));
    },
    async cancelled() {
      const cancel = new AbortController();
      setTimeout(() => cancel.abort(), 200);
      const failed = await call('slow', { milliseconds: 20_000 }, { signal: cancel.signal }).then(() => false, () => true);
      holds(failed, 'it was waited for');
      is(text(await call('test_simple_text')).slice(0, 4), 'This');
    },
    async resources() {
      const resources = await pages(params => client.listResources(params), 'resources');
      holds(resources.length >= 4, `${resources.length}`);
      const templates = await pages(params => client.listResourceTemplates(params), 'resourceTemplates');
      const uri = named(resources, 'static-text').uri;
      const { contents } = await client.readResource({ uri });
      is(contents[0].text, 'This is the content of the static text resource.');
      const binary = await client.readResource({ uri: named(resources, 'static-binary').uri });
      holds(binary.contents[0].blob.length > 50, 'no bytes');
      const template = named(templates, 'template').uriTemplate.replace('{id}', '42');
      is(JSON.parse((await client.readResource({ uri: template })).contents[0].text).id, '42');
    },
    async unknown_resource() {
      const found = await code(client.readResource({ uri: 'test://there-is-none' }));
      holds(found === -32602 || found === -32002, `${found}`);
    },
    async prompts() {
      prompts = await pages(params => client.listPrompts(params), 'prompts');
      const name = named(prompts, 'test_prompt_with_arguments').name;
      const result = await client.getPrompt({ name, arguments: { arg1: 'hello', arg2: 'world' } });
      is(result.messages[0].content.text, "Prompt with arguments: arg1='hello', arg2='world'");
    },
    async prompt_that_asks() {
      const { name } = named(prompts, 'test_input_required_result_prompt');
      is((await client.getPrompt({ name })).messages[0].content.text, 'Use this context: some context');
    },
    async completion() {
      const ref = { type: 'ref/prompt', name: named(prompts, 'test_prompt_with_arguments').name };
      const found = await client.complete({ ref, argument: { name: 'arg1', value: 'par' } });
      is(found.completion.values, ['paris', 'park', 'party']);
    },
    async changes() {
      const resources = await pages(params => client.listResources(params), 'resources');
      const { uri } = named(resources, 'watched-resource');
      const before = client.heard.length;
      const has = wanted => client.heard.slice(before).some(([method, params]) => method === wanted && (params?.uri ?? uri) === uri);
      await client.watch(uri);
      // A stream that is told of is not always one that is open yet.
      await sleep(150);
      await call('test_trigger_resource_update');
      await until(() => has('notifications/resources/updated'), 'the resource');
      await call('test_trigger_tool_change');
      await until(() => has('notifications/tools/list_changed'), 'the tools');
      await call('test_trigger_prompt_change');
      await until(() => has('notifications/prompts/list_changed'), 'the prompts');
      await client.unwatch(uri);
    },
    async ping() {
      if (!client.isModern) await client.ping();
    },
  };
}

/** Tries all of them, and ends. */
export async function run(connect) {
  const tell = line => process.stdout.write(`${JSON.stringify(line)}\n`);
  const one = async (feature, what) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('no end after 20 s')), 20_000);
    });
    try {
      tell({ feature, ok: true, detail: (await Promise.race([what(), late])) ?? null });
    } catch (error) {
      tell({ feature, ok: false, detail: `${error.code ?? ''} ${error.message}`.trim() });
    } finally {
      clearTimeout(timer);
    }
  };
  let client;
  await one('connect', async () => {
    client = await connect();
    return client.revision;
  });
  if (client) {
    const wanted = options.only?.split(',');
    for (const [name, feature] of Object.entries(features(client))) {
      // Names are known by the lists.
      if (!wanted || wanted.includes(name) || name === 'tools_list' || name === 'prompts') await one(name, feature);
    }
    await one('close', () => client.end());
  }
  process.exit(0);
}
