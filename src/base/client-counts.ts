/** What one client has used, as sidecars with a shared store tell each other. */
export interface ClientCountsRow {
  client: string;
  /** Tokens since midnight UTC. */
  input: number;
  output: number;
  /** In the last minute. */
  requests: number;
  /** Open now. */
  streams: number;
}
