# The sidecar listens on 127.0.0.1:8787, which suits a container that shares its network namespace
# with the agent's. To listen on all addresses, mount a file of client tokens and name it:
#
#   docker run -p 127.0.0.1:8787:8787 -v "$PWD/login:/codex" -v "$PWD/client-tokens:/client-tokens:ro" \
#     -e SIDECAR_HOST=0.0.0.0 -e SIDECAR_CLIENT_TOKENS_FILE=/client-tokens codex-auth-sidecar
#
# Without tokens it refuses to start there, unless "serve --allow-unauthenticated" takes that risk.
# Clients that call it by another name than localhost need that name in clients.allowedHosts.
# deploy/ has complete examples.
#
# Settings as environment variables or SIDECAR_CONFIG are seen by the health check too; arguments
# after "serve" are not.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Where the base image brings authorities of its own, a proxy on the way out may need them.
RUN ca=/etc/ssl/certs/ca-certificates.crt; if [ -f "$ca" ]; then export NODE_EXTRA_CA_CERTS="$ca"; fi; \
    npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.mjs scripts/
COPY src src
RUN npm run build

FROM node:24-slim
LABEL org.opencontainers.image.title="codex-auth-sidecar" \
      org.opencontainers.image.description="HTTP auth sidecar that keeps the Codex credentials so that the coding agent does not have to" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    CODEX_HOME=/codex
# The login is mounted here. User 1000 must be able to write: tokens are refreshed, and auth.json is
# replaced under a lock. Nothing else is written, so the root file system can be read-only.
RUN install -d -o 1000 -g 1000 -m 0700 /codex
WORKDIR /app
# The command by its name, for the entrypoint and for "exec". A debugger that SIGUSR1 opens or a core
# dump would show the credentials. The flag is left out where Node.js is too old to know it; auth.json
# is locked with flock, so an image without it is not built.
RUN flag=--disable-sigusr1; node "$flag" -e 0 2>/dev/null || flag=; \
    command -v flock && \
    printf '#!/bin/sh\nulimit -c 0\nexec node %s /app/dist/cli.js "$@"\n' "$flag" >/usr/local/bin/codex-auth-sidecar && \
    chmod 0755 /usr/local/bin/codex-auth-sidecar
COPY --from=build /app/dist dist
COPY --from=build /app/package.json ./
COPY LICENSE ./
USER 1000:1000
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
  CMD ["codex-auth-sidecar", "healthcheck"]
ENTRYPOINT ["codex-auth-sidecar"]
CMD ["serve"]
