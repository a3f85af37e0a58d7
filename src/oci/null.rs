//! `null` where a document should have a list, a text or nothing.

use serde::{Deserialize, Deserializer};

/// Go's tools write `null` for what is empty.
pub(super) fn null_is_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
