import t from 'tap';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { refuses } from '../helpers/refusal.ts';

t.test('text that is not JSON is refused without a quotation from it', async (t) => {
  const message = 'auth.json: is not valid JSON; repair it, or move it away and sign in';
  for (const text of ['', 'hush', '{"OPENAI_API_KEY":"hush', '{"tokens":hush}', '\u0000']) {
    await refuses(t, () => parseAuthDocument(text), message, ['hush']);
  }
});

t.test('JSON that is no object is refused', async (t) => {
  for (const text of ['null', '"hush"', '["hush"]', '7', 'true']) {
    await refuses(t, () => parseAuthDocument(text), 'auth.json: is not a JSON object', ['hush']);
  }
});
