//! The words of the feature that this room grows from: each is one of a few, and spelt as there.

/// Enumerations that are written as fixed words.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The words, in the same order.
            pub const WORDS: &[&str] = &[$($word,)*];

            /// As it is written.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one that is written so, in any case, as resource manager has it.
            pub fn of_word(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word().eq_ignore_ascii_case(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(super) use words;

words! {
    /// What an export may do beside writing a new bundle.
    pub enum ExportOption {
        /// Replace a bundle that is there.
        OverwriteBlobs = "OverwriteBlobs",
        /// Pack what can be packed.
        ContinueOnErrors = "ContinueOnErrors",
    }
}

words! {
    /// What an import may do beside adding new tags.
    pub enum ImportOption {
        /// Move tags that point elsewhere.
        OverwriteTags = "OverwriteTags",
        /// Remove the bundle once every artifact is confirmed in the registry.
        DeleteSourceBlobOnSuccess = "DeleteSourceBlobOnSuccess",
        /// Import what can be imported.
        ContinueOnErrors = "ContinueOnErrors",
    }
}

words! {
    /// What a container is.
    pub enum ContainerType {
        /// A container of Azure Blob Storage, or of an emulator of it.
        AzureStorageBlobContainer = "AzureStorageBlobContainer",
        /// A bucket of S3 or of what speaks like it, or a prefix in one.
        S3 = "S3",
        /// A bucket of Google Cloud Storage, or a prefix in one.
        GoogleCloudStorage = "GoogleCloudStorage",
        /// A local folder.
        FileSystem = "FileSystem",
    }
}

words! {
    /// What a bundle is an object of.
    pub enum BlobType {
        /// A blob in Azure.
        AzureStorageBlob = "AzureStorageBlob",
        /// An object of S3.
        S3Object = "S3Object",
        /// An object of Google Cloud Storage.
        GoogleCloudStorageObject = "GoogleCloudStorageObject",
        /// A local file.
        File = "File",
    }
}

words! {
    /// How a container of Azure is opened.
    pub enum AccessMode {
        /// By a SAS token, which is fetched at each run.
        SasToken = "SasToken",
        /// By the pipeline's identity.
        ManagedIdentity = "ManagedIdentity",
    }
}

impl ContainerType {
    /// What lies in it.
    pub const fn blob_type(self) -> BlobType {
        match self {
            Self::AzureStorageBlobContainer => BlobType::AzureStorageBlob,
            Self::S3 => BlobType::S3Object,
            Self::GoogleCloudStorage => BlobType::GoogleCloudStorageObject,
            Self::FileSystem => BlobType::File,
        }
    }
}
