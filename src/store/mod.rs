//! A read-write, content-addressed place on disk, what `serve --store` keeps.
