//! Where an environment's configuration is read from: files, a git revision, a server, a program.

use super::endpoint::client_tls;
use super::metrics::is_on_this_machine;
use super::problems::{Expected, Place, Problems};
use super::quantity::{MAX_PATH_CHARACTERS, line, url_with_path};
use super::raw::{RawCommandSource, RawConfigSource, RawGitSource, RawHttpSource, Section, Text};
use model::ClientTls;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use std::fmt;

/// Sources of one environment: with 16 the largest configuration is 16 times the bound of one.
const MAX_SOURCES: usize = 16;
/// Words of a command, and characters of each: 64 of 1,000 stay far below what Linux passes to a program.
const MAX_WORDS: usize = 64;
const MAX_WORD_CHARACTERS: usize = 1_000;
/// Characters of a name in a comparison; a file's name has at most 255.
const MAX_NAME_CHARACTERS: usize = 255;
/// Characters of a git revision.
const MAX_REVISION_CHARACTERS: usize = 255;

/// Where a part of an environment's configuration is read from. Paths are relative to the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConfigSource {
    /// A file or a folder.
    Files(String),
    /// A revision of a git repository.
    Git(GitSource),
    /// What a server answers to a GET.
    Http(HttpSource),
    /// What a program prints.
    Command(CommandSource),
}

/// The files of a git revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitSource {
    /// The repository's folder.
    pub repository: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// The file or folder in it; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
}

/// One document that a server answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpSource {
    /// `http://host:port/path` or `https://host:port/path`.
    pub url: String,
    /// What the document is called in the comparison; its ending says its format.
    pub name: String,
    /// What TLS needs beyond the defaults.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
    /// The file of the token that the server is shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bearer_token_file: Option<String>,
}

/// One document that a program prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandSource {
    /// The program, by its whole path, and its arguments: no shell reads them.
    pub run: Vec<String>,
    /// What the document is called in the comparison; its ending says its format.
    pub name: String,
}

/// As people read it: `git ../deploy at v1.2`.
impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigSource::Files(path) => f.write_str(path),
            ConfigSource::Git(GitSource { repository, revision, path: None }) => {
                write!(f, "git {repository} at {revision}")
            }
            ConfigSource::Git(GitSource { repository, revision, path: Some(path) }) => {
                write!(f, "git {repository} at {revision}: {path}")
            }
            ConfigSource::Http(HttpSource { url, .. }) => f.write_str(url),
            ConfigSource::Command(CommandSource { run, .. }) => write!(f, "what `{}` prints", run.join(" ")),
        }
    }
}

/// The sources under `config` or `live`.
pub(super) fn sources(
    problems: &mut Problems,
    parent: &Place,
    key: &str,
    raw: &Section<Vec<Spanned<RawConfigSource>>>,
) -> Option<Vec<ConfigSource>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let list = parent.key(key, section);
    if section.value.len() > MAX_SOURCES {
        problems.refuse(&list, format!("{} sources", section.value.len()), format!("at most {MAX_SOURCES}"));
        return None;
    }
    let sources = section.value.iter().enumerate();
    let sources = sources.map(|(index, raw)| source(problems, &list.item(index, raw), &raw.value));
    // Every source is read, so that each mistake is noted.
    sources.collect::<Vec<_>>().into_iter().collect()
}

fn source(problems: &mut Problems, at: &Place, raw: &RawConfigSource) -> Option<ConfigSource> {
    let RawConfigSource { files, git, http, command } = raw;
    let named =
        [("files", files.is_some()), ("git", git.is_some()), ("http", http.is_some()), ("command", command.is_some())];
    let named: Vec<&str> = named.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    let wanted = "one of `files`, `git`, `http` and `command`, such as { files: ./blue }";
    if let [one, other, ..] = named[..] {
        problems.refuse(at, format!("`{one}` and `{other}`"), wanted);
        return None;
    }
    match (git, http, command) {
        (Some(section), _, _) => self::git(problems, &at.key("git", section), &section.value).map(ConfigSource::Git),
        (_, Some(section), _) => self::http(problems, &at.key("http", section), &section.value).map(ConfigSource::Http),
        (_, _, Some(section)) => {
            self::command(problems, &at.key("command", section), &section.value).map(ConfigSource::Command)
        }
        (None, None, None) => {
            let wanted = "a file or folder, relative to the plan";
            problems.needed(at, "files", files, wanted, path).map(ConfigSource::Files)
        }
    }
}

fn git(problems: &mut Problems, at: &Place, raw: &RawGitSource) -> Option<GitSource> {
    let repository = problems.needed(at, "repository", &raw.repository, "the repository's folder", path);
    let revision = problems.needed(at, "revision", &raw.revision, "a branch, a tag or a commit", revision);
    let path = problems.optional(at, "path", &raw.path, path_within);
    let (Some(repository), Some(revision), Some(path)) = (repository, revision, path) else { return None };
    Some(GitSource { repository, revision, path })
}

fn http(problems: &mut Problems, at: &Place, raw: &RawHttpSource) -> Option<HttpSource> {
    let wanted = "the document's URL, such as http://127.0.0.1:8080/config";
    let url = problems.needed(at, "url", &raw.url, wanted, url_with_path);
    let clear_text = url.as_ref().is_some_and(|url| url.starts_with("http://"));
    let tls = client_tls(problems, at, &raw.tls, clear_text);
    let token = problems.optional(at, "bearerTokenFile", &raw.bearer_token_file, path);
    let name = name(problems, at, &raw.name);
    let (Some(url), Some(tls), Some(bearer_token_file), Some(name)) = (url, tls, token, name) else { return None };
    if bearer_token_file.is_some() && clear_text && !is_on_this_machine(&url) {
        let help = "the token could be read on the way";
        let expected = "an https:// URL, or one on this machine";
        problems.refuse_because(at, "`bearerTokenFile` beside an http:// URL", expected, help);
        return None;
    }
    Some(HttpSource { url, name, tls, bearer_token_file })
}

fn command(problems: &mut Problems, at: &Place, raw: &RawCommandSource) -> Option<CommandSource> {
    let wanted =
        "the program by its whole path and its arguments, such as [/usr/bin/kubectl, get, deployments, -o, yaml]";
    let name = name(problems, at, &raw.name);
    let (run_at, words) = problems.section(at, "run", &raw.run, wanted)?;
    if words.is_empty() || words.len() > MAX_WORDS {
        problems.refuse(&run_at, format!("{} words", words.len()), format!("1 to {MAX_WORDS}: {wanted}"));
        return None;
    }
    let read = words.iter().enumerate().map(|(index, word)| {
        let refused = |problems: &mut Problems, expected: Expected| {
            problems.refuse(&run_at.item(index, word), super::error::quoted(&word.value), expected);
            None
        };
        match line(&word.value, MAX_WORD_CHARACTERS) {
            Err(expected) => refused(problems, expected),
            Ok(program) if index == 0 && !program.starts_with('/') => {
                refused(problems, "the whole path of a program, such as /usr/bin/kubectl".to_owned())
            }
            Ok(word) => Some(word),
        }
    });
    let run: Option<Vec<String>> = read.collect::<Vec<_>>().into_iter().collect();
    Some(CommandSource { run: run?, name: name? })
}

fn name(problems: &mut Problems, at: &Place, raw: &Text) -> Option<String> {
    let wanted = "what it is called in the comparison, such as collector.yaml";
    problems.needed(at, "name", raw, wanted, |text| line(text, MAX_NAME_CHARACTERS))
}

fn path(text: &str) -> Result<String, Expected> {
    line(text, MAX_PATH_CHARACTERS)
}

/// A path inside of a repository.
fn path_within(text: &str) -> Result<String, Expected> {
    let path = path(text)?;
    let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..") || path.starts_with([':', '-']);
    if leads_out { Err("a path inside the repository, such as collectors/blue".to_owned()) } else { Ok(path) }
}

/// What git takes for a revision and never for an option.
fn revision(text: &str) -> Result<String, Expected> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./^~@{}+".contains(&byte);
    let is = (1..=MAX_REVISION_CHARACTERS).contains(&text.len()) && text.bytes().all(known) && !text.starts_with('-');
    if is { Ok(text.to_owned()) } else { Err("a branch, a tag or a commit, such as v1.2 or 4f1c9d2".to_owned()) }
}
