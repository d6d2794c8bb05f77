//! Every role against every route, over TCP.

use super::credentials::Issuer;
use super::*;
use access::{Action, Role, allows};
use std::path::Path;

/// Every route that asks for an action, and which. What is not here is not tested: so a test holds the list against the
/// code, and a new route fails until it stands here.
const ROUTES: &[(&str, &str, Action)] = &[
    ("GET", "/", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/events", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/numbers", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/numbers.csv", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/gates", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/drift", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/plan", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/findings", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/findings/{finding}", Action::SeeRollouts),
    ("GET", "/rollouts/{rollout}/confirm/{command}", Action::Steer),
    ("POST", "/rollouts/{rollout}/commands", Action::Steer),
    ("POST", "/rollouts/{rollout}/sign-offs", Action::SignOff),
    ("GET", "/rollouts/{rollout}/approvals", Action::SeeStatement),
    ("POST", "/rollouts/{rollout}/approvals", Action::Approve),
    ("GET", "/rollouts/{rollout}/traces/{trace}", Action::SeeExamples),
    ("GET", "/rollouts/{rollout}/map", Action::SeeRollouts),
    ("GET", "/map", Action::SeeRollouts),
    ("GET", "/passkeys", Action::SeeRollouts),
    ("POST", "/passkeys/line", Action::SeeRollouts),
    ("GET", "/ledger", Action::SeeLedger),
    ("GET", "/ledger/{index}", Action::SeeLedger),
    ("GET", "/ledger/tiles/checkpoint", Action::SeeLedger),
    ("GET", "/ledger/tiles/tile/{*path}", Action::SeeLedger),
    ("POST", "/ledger/export", Action::ExportLedger),
    ("GET", "/metrics", Action::SeeServer),
    ("GET", "/v1/openapi.json", Action::SeeServer),
    ("GET", "/v1/rollouts/{rollout}/timeline", Action::SeeRollouts),
    ("GET", "/v1/rollouts/{rollout}/plan", Action::SeeRollouts),
    ("POST", "/v1/plans/check", Action::CheckPlan),
    ("GET", "/v1/status", Action::SeeServer),
    ("GET", "/v1/rollouts", Action::SeeRollouts),
    ("POST", "/v1/rollouts", Action::Start),
    ("GET", "/v1/rollouts/{rollout}", Action::SeeRollouts),
    ("POST", "/v1/rollouts/{rollout}/commands", Action::Steer),
    ("POST", "/v1/rollouts/{rollout}/statement", Action::SeeStatement),
    ("POST", "/v1/rollouts/{rollout}/sign-offs", Action::SignOff),
    ("POST", "/v1/approvals", Action::Approve),
    ("POST", "/v1/erasures", Action::Erase),
    ("GET", "/v1/evidence/{digest}", Action::SeeExamples),
    ("POST", "/v1/learning", Action::Learn),
    ("POST", "/v1/recording", Action::Record),
    ("DELETE", "/v1/recording", Action::Record),
];

/// Methods as routes name them.
const METHODS: [(&str, &str); 5] =
    [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("patch(", "PATCH"), ("delete(", "DELETE")];

/// Every route in the sources below a folder: the method and the path, as they stand in `.route("PATH", METHODS)`.
fn written(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            written(&path, found);
        } else if name.ends_with(".rs")
            && !name.contains("tests")
            && !path.components().any(|it| it.as_os_str() == "tests")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests at the end of a file may have routes of their own.
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for route in text.split(".route(").skip(1) {
                let Some((route_path, rest)) = route.trim_start().strip_prefix('"').and_then(|it| it.split_once('"'))
                else {
                    panic!("{name}: a route's path must be written in its place: .route({route:.40}");
                };
                let mut depth = 1;
                let end = rest.find(|c| {
                    depth += i32::from(c == '(') - i32::from(c == ')');
                    depth == 0
                });
                let methods = &rest[..end.unwrap()];
                let mut any = false;
                for (call, method) in METHODS {
                    let is_call = |at: usize| !methods[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    if methods.match_indices(call).any(|(at, _)| is_call(at)) {
                        found.push((method.to_owned(), route_path.to_owned()));
                        any = true;
                    }
                }
                assert!(any, "{name}: {route_path} has no method that is known here");
            }
        }
    }
}

#[test]
fn every_route_stands_in_the_table() {
    let mut found = Vec::new();
    written(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    // Signing out is for whoever is signed in, whatever they may.
    found.retain(|(_, path)| !is_public(path) && path != "/sign-out");
    let table: Vec<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    for route in &found {
        assert!(table.contains(route), "{route:?} is not in ROUTES: say which action it asks for");
    }
    for route in &table {
        assert!(found.contains(route), "{route:?} is in ROUTES, and no such route is written");
    }
}

#[tokio::test]
async fn every_role_may_at_every_route_what_the_table_says() {
    let issuer = Issuer::new();
    let door = Fixture::start(Some(issuer.oidc()), None).await;
    for (method, path, action) in ROUTES {
        let names = [
            ("{digest}", format!("sha256:{}", "0".repeat(64))),
            ("{rollout}", "last".to_owned()),
            ("{trace}", "1".repeat(32)),
            ("{finding}", "1".to_owned()),
            ("{index}", "0".to_owned()),
            ("{command}", "promote".to_owned()),
            ("{*path}", "0/000".to_owned()),
        ];
        let path = names.iter().fold((*path).to_owned(), |path, (name, value)| path.replace(name, value));
        let is_form = *method == "POST" && !path.starts_with("/v1/") && path != "/passkeys/line";
        let (kind, body) = match is_form {
            true => (
                "application/x-www-form-urlencoded",
                "command=pause&says=accepted&rollout=last&statement=a&signature=b",
            ),
            false => ("application/json", "{}"),
        };
        let nobody = door.ask(&format!("{method} {path}\nContent-Type: {kind}"), body).await;
        assert_eq!(nobody.status, 401, "nobody: {method} {path}");
        for role in Role::ALL {
            let before = door.recorded().await.len();
            let bearer = issuer.token(role.name(), serde_json::json!({}));
            let head = format!("{method} {path}\nAuthorization: Bearer {bearer}\nContent-Type: {kind}");
            let answer = door.ask(&head, body).await;
            assert!(answer.status > 0 && answer.status != 401, "{} {}", answer.status, answer.body);
            assert_eq!(answer.status != 403, allows(role, *action), "{role}: {method} {path}: {}", answer.body);
            let recorded: Vec<String> = door.recorded().await[before..].to_vec();
            let expected = format!("{role}: {action}");
            assert_eq!(recorded.contains(&expected), !allows(role, *action), "{role}: {method} {path}: {recorded:?}");
        }
    }
}
