//! The distribution API (distribution-spec 1.1) from the registry's side, over any place.
