# syntax=docker/dockerfile:1
# docker build --build-arg TANDEM_COMMIT="$(git log -1 --format='%H %cs')" -t tandem .

ARG RUST=1.95.0
FROM rust:${RUST}-bookworm AS build
ARG RUST
# The image's own toolchain, whatever rust-toolchain.toml asks for.
ENV RUSTUP_TOOLCHAIN=${RUST}
ARG TANDEM_COMMIT
WORKDIR /src
COPY . .
# The caches keep the compiled dependencies between builds.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin tandem \
    && install -D -t /image target/release/tandem && mkdir /image/data

# C library only: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/tandem /usr/local/bin/tandem
COPY --from=build --chown=65532:65532 /image/data /data
ENV TANDEM__DATA=/data TANDEM__SERVER__LISTEN=0.0.0.0:8080
USER 65532:65532
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=1m CMD ["/usr/local/bin/tandem", "health"]
ENTRYPOINT ["/usr/local/bin/tandem"]
CMD ["serve"]
