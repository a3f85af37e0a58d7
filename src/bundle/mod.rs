//! A bundle as a place: an OCI image layout in a planned, sealed tar (docs/bundle-format.md).
