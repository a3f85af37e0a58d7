//! Lists of tags.
use crate::oci::Tag;
use super::{error::Error, repository::Repository};
impl Repository {
    pub(super) async fn list_tags(&self) -> Result<Vec<Tag>, Error> { Ok(vec![]) }
}
