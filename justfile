# The scripts that CI calls, by short names: `just check`, `just test peers::`.

default:
    @just --list

# Install what the tests need.
setup:
    tests/setup

# Format, and let the compiler and clippy look at everything.
check:
    cargo fmt
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Run tests, all or those whose names contain WHAT.
test *WHAT:
    cargo test --all-features {{WHAT}}

# Write the generated documents anew.
docs:
    UPDATE_DOCS=1 cargo test --all-features --bin airlift docs

# Everything that CI checks.
all:
    tests/all

# The static program, packages and image, as they are shipped.
dist:
    scripts/dist
