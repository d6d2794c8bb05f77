use super::*;

/// The violations as they are printed, one a line.
fn check(violations: impl IntoIterator<Item = Violation>, expected: &[&str]) {
    let printed: Vec<String> = violations.into_iter().map(|violation| violation.to_string()).collect();
    assert_eq!(printed, expected);
}

fn package(name: &str, dependencies: &[&str]) -> Package {
    Package {
        name: name.into(),
        dependencies: dependencies.iter().map(ToString::to_string).collect(),
        ..Package::default()
    }
}

#[test]
fn the_allowed_dependencies_are_accepted() {
    let packages: Vec<Package> = ALLOWED.iter().map(|(name, allowed)| package(name, allowed)).collect();
    check(dependencies(&packages), &[]);
}

#[test]
fn every_dependency_among_ours_that_is_not_allowed_is_refused() {
    for (name, allowed) in ALLOWED {
        for (other, _) in ALLOWED.iter().filter(|(other, _)| other != name && !allowed.contains(other)) {
            let found = dependencies(&[package(name, &[other]), package(other, &[])]);
            let expected = format!(
                "crates/{name}/Cargo.toml: `{name}` depends on `{other}`; of our crates it may depend on {}",
                list(allowed)
            );
            check(found, &[&expected]);
        }
    }
}

#[test]
fn the_list_has_no_cycle() {
    // Each pass removes the crates that depend on removed ones alone: with a cycle some remain.
    let mut removed: Vec<&str> = Vec::new();
    for _ in ALLOWED {
        let free = ALLOWED.iter().filter(|(_, allowed)| allowed.iter().all(|name| removed.contains(name)));
        removed = free.map(|(name, _)| *name).collect();
    }
    assert_eq!(removed.len(), ALLOWED.len());
}

#[test]
fn another_crate_must_be_put_on_the_list() {
    check(
        dependencies(&[package("utils", &[])]),
        &["crates/utils/Cargo.toml: the crate `utils` is not in the list; say in ALLOWED of \
           crates/xtask/src/check/rules.rs which of our crates it may depend on"],
    );
}

#[test]
fn a_pure_crate_has_no_runtime_no_randomness_no_logs() {
    for name in PURE {
        for impure in
            ["tokio", "tokio-util", "hyper", "hyper-util", "tracing", "getrandom", "rand", "rand_core", "rustix"]
        {
            let expected = format!(
                "crates/{name}/Cargo.toml: the pure crate `{name}` depends on `{impure}`; pure crates do without tokio, \
                 hyper, tracing, getrandom, rand, rustix, and what is named after them"
            );
            check(dependencies(&[package(name, &[impure])]), &[&expected]);
        }
        check(dependencies(&[package(name, &["serde", "sha2", "randomart"])]), &[]);
    }
    check(dependencies(&[package("gateway", &["tokio", "hyper", "tracing"])]), &[]);
}

#[test]
fn a_root_file_begins_with_its_header() {
    check(header("crates/otlp/src/lib.rs", "//! OTLP bytes.\n\nmod scan;\n"), &[]);
    for text in ["", "mod scan;\n", "// OTLP bytes.\n", "\n//! OTLP bytes.\n", "use std::fmt;\n//! OTLP bytes.\n"] {
        check(
            header("crates/otlp/src/lib.rs", text),
            &["crates/otlp/src/lib.rs: has no header; a crate's root file begins with a `//!` header: what it does, \
               what it never does, and why"],
        );
    }
}

#[test]
fn a_file_has_600_lines_at_most() {
    check(source("a.rs", &"line\n".repeat(600)), &[]);
    check(
        source("a.rs", &"line\n".repeat(601)),
        &["a.rs: has 601 lines; a file has 600 at most: divide it by what its parts do"],
    );
}

#[test]
fn no_test_is_ignored() {
    for attribute in ["#[ignore]", "#[ignore = \"flaky\"]"] {
        check(
            source("a.rs", &format!("#[test]\n    {attribute}\nfn a() {{}}\n")),
            &["a.rs:2: ignores a test; repair the test, or take it out"],
        );
    }
    check(source("a.rs", "// We use no #[ignore] here.\n"), &[]);
}

#[test]
fn a_dependency_has_its_reason_beside_it() {
    let manifest = "[workspace]\nresolver = \"3\"\n\n[workspace.dependencies]\nmodel = { path = \"crates/model\" }\n\
                    # Why each is here = below.\nanyhow = \"1\" # errors\nbytes = \"1\"\nclap = { version = \"4#5\" }\n\
                    prost = \"0.14\" #\n\n[profile.dev]\ndebug = false\n";
    let expected = |line: usize, name: &str| {
        format!(
            "Cargo.toml:{line}: the dependency `{name}` has no reason beside it; write it on one line that ends with \
             `# ` and the reason why it is here"
        )
    };
    check(reasons(manifest), &[&expected(8, "bytes"), &expected(9, "clap"), &expected(10, "prost")]);
}

#[test]
fn the_documents_are_there() {
    check(documents(|_| true), &[]);
    for missing in DOCUMENTS {
        let expected = format!("{missing}: is missing; every reader of the repository looks for it: write it");
        check(documents(|name| name != *missing), &[&expected]);
    }
}
