import type { Socket } from 'node:net';

/**
 * Methods of our own for sockets, made once for each class of them (with TLS, without, and in a tunnel). They
 * become properties of the socket, which keeps its prototype: with another one, Node 20 and 22 give each
 * socket a hidden class of its own, and all code that touches sockets becomes slower (measured: 6 % of a
 * request's processor time). For the same reason all sockets share the functions.
 * @param make gets the methods that the class has by itself
 * @returns the methods for a socket; what is particular to it belongs in a property beside them
 */
export function sharedMethods(make: (base: Socket) => object): (socket: Socket) => object {
  const known = new Map<Socket, object>();
  return (socket) => {
    const base: Socket = Object.getPrototypeOf(socket);
    const methods = known.get(base) ?? make(base);
    known.set(base, methods);
    return methods;
  };
}
