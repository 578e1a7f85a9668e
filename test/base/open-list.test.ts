import fc from 'fast-check';
import t from 'tap';
import { OpenList, type Place } from '../../src/base/open-list.ts';

t.test('it holds what was added and not removed, whatever the order', async (t) => {
  const steps = fc.array(fc.record({ adds: fc.boolean(), pick: fc.nat() }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (all) => {
      const list = new OpenList<number>();
      const expected: Place<number>[] = [];
      for (const [i, { adds, pick }] of all.entries()) {
        if (adds || expected.length === 0) expected.push(list.add(i));
        else {
          const [place] = expected.splice(pick % expected.length, 1) as [Place<number>];
          list.remove(place);
          // A second time changes nothing.
          list.remove(place);
        }
        const items = (places: readonly { item: number }[]) => places.map(({ item }) => item);
        if (list.size !== expected.length) return false;
        const held = list.items().sort((a, b) => a - b);
        if (
          held.join() !==
          items(expected)
            .sort((a, b) => a - b)
            .join()
        )
          return false;
      }
      return true;
    }),
  );
  t.equal(new OpenList().size, 0);
});

t.test('what is open may end while somebody goes through it', async (t) => {
  const list = new OpenList<string>();
  const places = ['a', 'b', 'c'].map((name) => list.add(name));
  const seen: string[] = [];
  for (const name of list.items()) {
    seen.push(name);
    for (const place of places) list.remove(place);
  }
  t.strictSame(seen, ['a', 'b', 'c']);
  t.equal(list.size, 0);
});
