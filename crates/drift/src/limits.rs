//! The bounds of what is read and told.

/// Files of one environment: as many as the largest repositories of manifests have, and twice that of a usual cluster.
pub const MAX_FILES: usize = 4_096;
/// Bytes of one file. Kubernetes takes no object above 1.5 MiB (etcd's request limit); a file may hold some.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of all files: 4,096 files of 16 KiB on average.
pub const MAX_TREE_BYTES: usize = 64 * 1024 * 1024;
/// How deep values are nested, embedded documents included. Kubernetes' own types reach about 20, so a thread's stack
/// of 2 MiB has 32 KiB for each level of a recursion that takes less than 1 KiB.
pub const MAX_DEPTH: usize = 64;
/// Values of one file, with those that aliases and merge keys repeat, and the copies that are kept for them: at least
/// 20 bytes of text for each at [`MAX_FILE_BYTES`].
pub const MAX_FILE_VALUES: usize = 200_000;
/// Values of all files: 4,096 files of 488. A value takes about 100 bytes, so a tree takes 200 MB at most.
pub const MAX_TREE_VALUES: usize = 2_000_000;
/// Bytes of text in one file that aliases repeat: four times a file.
pub const MAX_REPEATED_BYTES: usize = 4 * MAX_FILE_BYTES;
/// Differences that are told; the others are counted. A difference is about 1 KiB, so 10 MB.
pub const MAX_DIFFERENCES: usize = 10_000;
/// Findings of the tracing rules that are told; the others are counted.
pub const MAX_FINDINGS: usize = 1_000;
/// Characters of a value that are shown: an image reference, an endpoint, a line of a script.
pub const MAX_SHOWN: usize = 200;
