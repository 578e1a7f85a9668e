/** A route as the tree shows it. */
interface TreeRoute {
  path: string;
  methods: string[];
}

/** The routes of the tree that Fastify prints: a node holds what its parents do not. */
export function routesIn(tree: string): TreeRoute[] {
  const parents: string[] = [];
  const nodes = tree.matchAll(/^([│ ]*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?/gm);
  return [...nodes].flatMap(([, indent = '', part = '', methods]) => {
    parents.length = indent.length / 4;
    parents.push(part);
    return methods === undefined ? [] : [{ path: parents.join(''), methods: methods.split(', ') }];
  });
}
