//! Files of resources: JSON, or YAML with one document or several; one resource, a list of them, or a page of them as
//! resource manager lists (`{"value": [...]}`).

use serde_json::Value;

use crate::pipeline::error::Error;

/// The documents in `text`, in its order. `file` is what errors call it.
///
/// # Errors
/// [`Error::Syntax`].
pub fn documents(text: &str, file: &str) -> Result<Vec<Value>, Error> {
    let text = text.trim_start_matches('\u{feff}');
    let syntax = |reason: String| Error::Syntax { file: file.to_owned(), reason };
    // JSON by its own parser: it knows best what is wrong in JSON.
    let whole = if text.trim_start().starts_with(['{', '[']) {
        vec![serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?]
    } else {
        serde_saphyr::from_multiple::<Value>(text).map_err(|error| syntax(error.to_string()))?
    };
    let mut documents = Vec::new();
    for document in whole {
        match document {
            Value::Null => {}
            Value::Array(list) => documents.extend(list),
            Value::Object(mut map) if map.len() <= 2 && map.get("value").is_some_and(Value::is_array) => {
                documents.extend(map.remove("value").and_then(|list| list.as_array().cloned()).unwrap_or_default());
            }
            one => documents.push(one),
        }
    }
    if documents.is_empty() {
        return Err(syntax("there is no resource in it".to_owned()));
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resource_several_and_lists_are_read() {
        for (text, count) in [
            ("{\"name\": 1}", 1),
            ("[{}, {}]", 2),
            ("{\"value\": [{}, {}, {}]}", 3),
            ("name: x\nproperties:\n  options: [a]\n", 1),
            ("---\na: 1\n---\nb: 2\n", 2),
            ("- a: 1\n- b: 2\n", 2),
        ] {
            assert_eq!(documents(text, "f").unwrap().len(), count, "{text}");
        }
        for bad in ["", "{", "# nothing\n", "a: [", "[]"] {
            assert!(documents(bad, "f").is_err(), "{bad:?}");
        }
    }
}
