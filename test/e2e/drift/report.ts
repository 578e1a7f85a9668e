import { type Change, commonRequests, compareFacts, DETAILS } from './compare.ts';
import { type Fact, TOPICS, type Topic } from './facts.ts';

const TITLES: Record<Topic, string> = {
  requests: 'Requests',
  headers: 'Headers',
  query: 'Names in queries',
  bodies: 'Keys of bodies',
  destinations: 'Where requests go',
  reactions: 'Reactions to a refusal',
  'auth.json': 'Fields of auth.json',
  schema: 'Accounts in the schema of the app server',
};

/** A request as `request-facts.ts` names it. */
const REQUEST = /^(\S+) (sidecar|https:\/\/[^/]+)(\/.*)$/;

/** What differs between two lists of facts, in Markdown. */
export function compareReport(older: readonly Fact[], newer: readonly Fact[]): string {
  const changes = compareFacts(older, newer);
  const common = [...commonRequests(older, newer)];
  return TOPICS.map((topic) => {
    const lines = linesOf(
      topic,
      changes.filter((change) => change.topic === topic),
      common,
    );
    const count = newer.filter((fact) => fact.topic === topic).length;
    return section(topic, lines.length > 0 ? lines : [`No difference in ${count} facts.`]);
  }).join('\n');
}

/** Every fact, in Markdown. */
export function factsReport(facts: readonly Fact[]): string {
  return TOPICS.map((topic) => {
    const own = facts.filter((fact) => fact.topic === topic);
    const lines = [...groups(own, ({ subject }) => subject)].map(([subject, about]) => {
      const values = about.map(({ value }) => value).filter((value) => value !== '');
      return values.length === 0 ? `- ${subject}` : `- ${subject}: ${values.join('; ')}`;
    });
    return section(topic, lines);
  }).join('\n');
}

function section(topic: Topic, lines: readonly string[]): string {
  return `### ${TITLES[topic]}\n\n${lines.join('\n')}\n`;
}

function linesOf(topic: Topic, changes: readonly Change[], common: readonly string[]): string[] {
  const bySign = [...groups(changes, ({ sign }) => sign)];
  return bySign.flatMap(([sign, facts]) => {
    if (topic === 'requests') {
      return merged(facts.map(({ subject }) => subject)).map(
        (request) => `- \`${sign}\` ${request}`,
      );
    }
    if (DETAILS.includes(topic)) {
      return [...groups(facts, ({ value }) => value)].map(([value, about]) => {
        const requests = about.map(({ subject }) => subject);
        return `- \`${sign}\` \`${value}\` on ${describe(requests, common)}`;
      });
    }
    return [...groups(facts, ({ subject }) => subject)].map(([subject, about]) => {
      return `- \`${sign}\` ${subject}: ${about.map(({ value }) => value).join('; ')}`;
    });
  });
}

/** All requests of a kind by the name of the kind, others by their own. */
function describe(requests: readonly string[], common: readonly string[]): string {
  const kinds = {
    'every request': common,
    'every HTTP request': common.filter((request) => !isUpgrade(request)),
    'every upgrade': common.filter(isUpgrade),
  };
  for (const [name, members] of Object.entries(kinds)) {
    const isWhole = members.length > 1 && members.length === requests.length;
    if (isWhole && members.every((request) => requests.includes(request))) return name;
  }
  return merged(requests).join(', ');
}

function isUpgrade(request: string): boolean {
  return request.startsWith('GET+upgrade ');
}

/** One text for each method and path, with the places where it is asked for. */
function merged(requests: readonly string[]): string[] {
  const parts = requests.map((request) => {
    const [, method = '', origin = '', path = ''] = REQUEST.exec(request) ?? [];
    return { name: `\`${method} ${path}\``, origin };
  });
  return [...groups(parts, ({ name }) => name)].map(([name, places]) => {
    return `${name} (${places.map(({ origin }) => origin).join(', ')})`;
  });
}

function groups<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item]);
  return found;
}
