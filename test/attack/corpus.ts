import type { ErrorCode } from '../../src/base/errors.ts';
import { MODELS, RESPONSES } from '../helpers/sidecar.ts';
import { TOKEN } from './guarded-sidecar.ts';

/** What must come of an entry. */
export type Expected =
  /** An error of the sidecar; nothing reaches the upstream. */
  | { refused: ErrorCode }
  /** No answer at all: the connection is closed; nothing reaches the upstream. */
  | 'closed'
  /** One well-formed request reaches the upstream, with this kind of credential. */
  | {
      forwarded: string;
      auth: 'AgentAssertion' | 'Bearer' | 'none';
      body?: string;
      status?: number;
    }
  /** Answered by an endpoint of the sidecar. */
  | { own: number };

export interface Entry {
  name: string;
  reason: string;
  /** Every octet, as latin1. */
  text: string;
  expected: Expected;
  /** Where it differs behind a Unix socket. */
  viaSocket?: Expected;
  /** The request is never complete: its client ends it by hanging up. */
  hangUp?: boolean;
}

/** Entries of one kind, for one reason. */
export interface Group {
  reason: string;
  entries: Omit<Entry, 'reason'>[];
}

export const HOST = 'host: localhost\r\n';
/** What every request carries, so that it is not refused for the lack of it. */
export const GIVEN = `${HOST}x-sidecar-token: ${TOKEN}\r\n`;

export const refused = (code: ErrorCode): Expected => ({ refused: code });
export const INVALID = refused('AUTH_REQUEST_INVALID');
export const BAD_PATH = refused('AUTH_PATH_INVALID');
export const DENIED = refused('AUTH_ROUTE_DENIED');
export const BAD_HOST = refused('AUTH_HOST_NOT_ALLOWED');

/** An inference request that goes up as it should. */
export const inference = (body: string): Expected => ({
  forwarded: `POST ${RESPONSES}`,
  auth: 'AgentAssertion',
  body,
});
export const models: Expected = { forwarded: `GET ${MODELS}`, auth: 'Bearer' };

/** A POST to the inference route. @param headers whole lines */
export const post = (headers: string, body = '') =>
  `POST ${RESPONSES} HTTP/1.1\r\n${GIVEN}${headers}\r\n${body}`;
/** A GET of a bearer route. @param headers whole lines */
export const get = (headers: string) => `GET ${MODELS} HTTP/1.1\r\n${GIVEN}${headers}\r\n`;
/** A request line, with what every request carries. */
export const ask = (line: string) => `${line}\r\n${GIVEN}\r\n`;
