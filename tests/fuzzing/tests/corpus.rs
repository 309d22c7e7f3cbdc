//! The corpus of the fuzz targets, replayed without a fuzzing engine.

use std::path::{Path, PathBuf};

/// What the whole corpus may take, in bytes: it is checked in.
const CORPUS_SIZE_MAX: u64 = 500_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn fuzz_corpus_replays() {
    for (name, target) in fuzzing::TARGETS {
        let files = files(&corpus().join(name));
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in files {
            let bytes = std::fs::read(&file).expect("a file of the corpus");
            // Shown when the target panics: the test's output is captured until then.
            println!("{}", file.display());
            target(&bytes);
        }
    }
}

#[test]
fn every_corpus_has_a_target_and_all_are_small() {
    let mut size = 0;
    for folder in files(&corpus()) {
        let name = folder.file_name().expect("a folder").to_string_lossy().into_owned();
        assert!(fuzzing::TARGETS.iter().any(|(known, _)| *known == name), "{name} is no target");
        size += files(&folder).iter().map(|file| file.metadata().expect("a file").len()).sum::<u64>();
    }
    assert!(size < CORPUS_SIZE_MAX, "{size} bytes");
}
