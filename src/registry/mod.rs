//! A registry as a place: the distribution API (distribution-spec 1.1) from the client's side.
