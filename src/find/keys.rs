//! Which names of members and variables speak of images.

/// How plainly a name says that its value is an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// It is `image`.
    Exact,
    /// It ends in `image`, or is a usual form of it, such as `imageName`.
    Suffix,
}

/// Words before `image` that make it another thing: a picture, a disk, a machine.
const OTHER_IMAGES: [&str; 21] = [
    "os",
    "vm",
    "disk",
    "machine",
    "background",
    "hero",
    "cover",
    "logo",
    "boot",
    "bootsource",
    "favicon",
    "icon",
    "ami",
    "preview",
    "thumbnail",
    "profile",
    "social",
    "banner",
    "header",
    "cloud",
    "osdisk",
];

/// Members of a container beside `image`.
const CONTAINER_MEMBERS: [&str; 13] = [
    "args",
    "command",
    "env",
    "envFrom",
    "imagePullPolicy",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resources",
    "script",
    "securityContext",
    "volumeMounts",
    "workingDir",
];

/// What the name of a member or variable says: `sidecarImage`, `proxy_image`, `RUNNER_IMAGE`, `imageName`.
pub(super) fn naming(key: &str) -> Option<Naming> {
    let plain = plain(key);
    if plain == "image" {
        return Some(Naming::Exact);
    }
    if let Some(before) = plain.strip_suffix("image") {
        return (!OTHER_IMAGES.contains(&before)).then_some(Naming::Suffix);
    }
    let is_form = ["imagename", "imageref", "imagereference", "imageuri", "imageurl", "imagefqdn"];
    is_form.iter().any(|form| plain.ends_with(form)).then_some(Naming::Suffix)
}

/// Whether `key` names a list of images.
pub(super) fn names_list(key: &str) -> bool {
    plain(key).strip_suffix("images").is_some_and(|before| !OTHER_IMAGES.contains(&before))
}

/// Whether `key` has to do with images at all, so that what is below it may be one.
pub(super) fn speaks_of_images(key: &str) -> bool {
    plain(key).contains("image")
}

/// Whether `name` is one from which operators read the images of what they run.
pub(super) fn is_related_image(name: &str) -> bool {
    name.starts_with("RELATED_IMAGE_")
}

/// Whether one of `keys` stands beside `image` in containers only.
pub(super) fn is_container<'a>(mut keys: impl Iterator<Item = &'a str>) -> bool {
    keys.any(|key| CONTAINER_MEMBERS.contains(&key))
}

/// Members whose text is for people.
pub(super) fn is_prose(key: &str) -> bool {
    matches!(key, "description" | "summary" | "comment" | "example" | "examples" | "title" | "displayName" | "$schema")
}

/// Lower case without the joints of the usual spellings.
pub(super) fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_' | '.')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_told_from_names_of_pictures_and_disks() {
        assert_eq!(naming("image"), Some(Naming::Exact));
        for key in ["sidecarImage", "base-image", "RUNNER_IMAGE", "image_name", "imageRef", "defaultTestContainerImage"]
        {
            assert_eq!(naming(key), Some(Naming::Suffix), "{key}");
        }
        for key in
            ["osImage", "backgroundImage", "vm_image", "imagePullPolicy", "imagePullSecrets", "images", "picture"]
        {
            assert_eq!(naming(key), None, "{key}");
        }
        assert!(names_list("sidecarImages") && names_list("images") && !names_list("image"));
    }
}
