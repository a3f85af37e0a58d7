//! What a document costs in memory.

/// About how many bytes of memory a JSON document takes when it is parsed: its own bytes, and what objects, members and
/// elements cost beside their text. It is an upper bound for what is made of descriptors and annotations here.
pub(crate) fn weigh(document: &[u8]) -> u64 {
    // A descriptor with its fields, or the first node of a map of annotations.
    const OBJECT: u64 = 384;
    const MEMBER: u64 = 48;
    const ELEMENT: u64 = 64;
    let mut weight = document.len() as u64;
    let mut bytes = document.iter();
    let mut in_text = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'{' | b'[' if !in_text => weight += OBJECT,
            b':' if !in_text => weight += MEMBER,
            b',' if !in_text => weight += ELEMENT,
            _ => {}
        }
    }
    weight
}
