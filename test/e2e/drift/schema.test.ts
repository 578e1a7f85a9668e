import t from 'tap';
import { looksIn } from './app-server.ts';
import { FactBook } from './facts.ts';
import { addSchemaFacts } from './schema-facts.ts';

const word = (text: string) => ({ type: 'string', enum: [text] });
const request = (method: string, params: object) => ({
  properties: { method: word(method), params },
});

/** In the shape that `codex app-server generate-json-schema` writes. */
const SCHEMA = {
  definitions: {
    ClientRequest: {
      oneOf: [
        request('model/list', { $ref: '#/definitions/v2/ModelListParams' }),
        request('account/usage/read', { type: 'null' }),
        request('thread/read', { $ref: '#/definitions/v2/ThreadReadParams' }),
        request('account/logout', { type: 'null' }),
      ],
    },
    v2: {
      ModelListParams: { properties: { limit: {} } },
      ThreadReadParams: { properties: { threadId: {} }, required: ['threadId'] },
      PlanType: { enum: ['free', 'plus'] },
      AuthMode: { oneOf: [word('apikey'), word('chatgpt')] },
      Account: { oneOf: [{ properties: { type: word('chatgpt'), email: {} } }] },
      ThreadItem: { enum: ['not about accounts'] },
    },
  },
};

t.test('the app server is asked what only looks and needs nothing', async (t) => {
  t.strictSame(looksIn(SCHEMA), [
    { method: 'model/list', params: {} },
    { method: 'account/usage/read' },
  ]);
  t.strictSame(looksIn({}), []);
});

t.test('the choices and fields of accounts are facts', async (t) => {
  const book = new FactBook();
  addSchemaFacts(book, SCHEMA);
  t.strictSame(
    book.list.map(({ subject, value }) => `${subject} ${value}`),
    [
      'Account "chatgpt" .email',
      'Account "chatgpt" .type',
      'AuthMode "apikey"',
      'AuthMode "chatgpt"',
      'PlanType "free"',
      'PlanType "plus"',
    ],
  );
});
