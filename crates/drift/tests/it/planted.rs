//! A secret is planted wherever one can stand, and searched for in everything that comes out. It must be told as
//! changed, and its text must be nowhere.

use drift::tracing::{Environments, rules};
use drift::{SecretKey, Tree, compare};
use std::collections::BTreeMap;

/// Secrets by their shape: blue's and green's. Made for this test; no service knows them.
const SHAPES: [(&str, &str, &str); 17] = [
    (
        "PEM",
        "-----BEGIN PRIVATE KEY-----MIGHAgEAMBMGByqGSM49-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----NIGHAgEAMBMGByqGSM50-----END PRIVATE KEY-----",
    ),
    (
        "JWT",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJibHVlIn0.q1w2e3r4t5y6",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJncmVlbiJ9.z1x2c3v4b5n6",
    ),
    ("AWS access key", "AKIAQ7BLUEBLUE7KEYAB", "AKIAQ7GREENGREEN7KEY"),
    ("AWS secret key", "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", "gR4n/K7MDENGbPxRfiCYQ2w9eR5tY8uI3oP6aS1e"),
    ("Google API key", "AIzaSyBlue5678901234567890123456789abcd", "AIzaSyGren5678901234567890123456789abcd"),
    ("Google OAuth", "ya29.blueA0AfH6SMBlue1234567890abcdef", "ya29.grenA0AfH6SMBlue1234567890abcdef"),
    ("GitHub", "ghp_blueBLUEblueBLUEblueBLUEblueBLUEblue", "ghp_grenGRENgrenGRENgrenGRENgrenGRENgren"),
    ("GitHub fine-grained", "github_pat_11BLUEBLUE0blueblueblueblue", "github_pat_11GRENGREN0grengrengrengren"),
    ("GitLab", "glpat-blueBLUEblueBLUE1234", "glpat-grenGRENgrenGREN1234"),
    ("Slack", "xoxb-111111111111-blueblueblue", "xoxb-222222222222-grengrengren"),
    ("Stripe", "sk_live_blueblueblueblue1234", "sk_live_grengrengrengren1234"),
    ("Vault", "hvs.blueBLUEblueBLUEblueBLUE", "hvs.grenGRENgrenGRENgrenGREN"),
    ("bearer", "Bearer blue-opaque-9912", "Bearer gren-opaque-9913"),
    ("basic", "Basic Ymx1ZTpibHVlcGFzcw==", "Basic Z3JlZW46Z3JlZW5wYXNz"),
    ("hexadecimal", "b10eb10e00112233445566778899aabb", "93ee93ee00112233445566778899aabb"),
    ("random", "bL7uE4kQ9zR2mX5vT8wY1nP6", "gR3eN6jH1cF8dS5aK2lZ9xV4"),
    ("base64url", "bLue_Q9z-R2mX5vT8wY1nP6cB3kJ", "gRen_J1c-F8dS5aK2lZ9xV4mN7bH"),
];

/// Secrets that only their name, or where they stand, makes secret.
const NAMED: [(&str, &str, &str); 3] = [
    ("words", "correct-horse", "battery-staple"),
    ("number", "48151623", "42108154"),
    ("signs", "p@ss:w/rd!blue", "p@ss:w/rd!gren"),
];

/// Files in which a value of any name can be a secret; `@` is where.
const ANYWHERE: [(&str, &str); 14] = [
    ("a.yaml", "settings: {mode: \"@\"}"),
    ("list.yaml", "settings: [one, \"@\", two]"),
    ("text.yaml", "script: |\n  echo start\n  run @\n  echo end\n"),
    ("alias.yaml", "a: &x \"@\"\nb: *x\n"),
    ("a.json", "{\"a\": {\"b\": [\"@\"]}}"),
    ("a.toml", "[a]\nb = \"@\"\n"),
    ("a.env", "MODE=\"@\"\n"),
    ("a.properties", "mode.of=@\n"),
    (
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: i, env: [{name: OTEL_MODE, value: \"@\"}], args: [\"--mode\", \"@\"]}]}",
    ),
    (
        "map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {note: \"@\"}}\ndata:\n  mode: \"@\"\n  app.yaml: |\n    a: {mode: \"@\"}\n",
    ),
    (
        "collector.yaml",
        "receivers: {otlp: }\nprocessors: {attributes: {actions: [{key: mode, value: \"@\", action: insert}]}}\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [otlp], processors: [attributes], exporters: [debug]}}}",
    ),
    ("compose.yaml", "services: {a: {image: i, environment: [\"OTEL_MODE=@\"], command: [run, \"@\"]}}"),
    ("opaque.txt", "nothing but @\n"),
    ("key.yaml", "tokens_by_name: {\"@\": yes}"),
];

/// Files in which the name says it; `@` is where.
const BY_NAME: [(&str, &str); 23] = [
    ("a.yaml", "db: {password: \"@\"}"),
    ("deep.yaml", "credentials: {first: {value: \"@\"}, list: [\"@\"]}"),
    ("below.yaml", "credentials: {aws_source: {x: \"@\"}, user: {name: \"@\"}, ref_file: {y: [\"@\"]}}"),
    ("list.yaml", "api_keys: [\"@\"]"),
    ("pairs.yaml", "headers: [{name: Authorization, value: \"@\"}]"),
    ("headers.yaml", "receiver: {headers: {x-scope-orgid: shop, x-custom-auth: \"@\"}}"),
    ("a.json", "{\"clientSecret\": \"@\"}"),
    ("a.toml", "[auth]\napi_key = \"@\"\n"),
    ("a.env", "DB_PASSWORD='@'\nOTEL_EXPORTER_OTLP_HEADERS='x-key=@'\n"),
    ("a.properties", "spring.datasource.password=@\n"),
    (
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: i, env: [{name: API_TOKEN, value: \"@\"}]}]}",
    ),
    (
        "headers-pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: i, env: [{name: OTEL_EXPORTER_OTLP_TRACES_HEADERS, value: \"x-key=@\"}]}]}",
    ),
    (
        "flag.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: i, args: [--password, \"@\"]}]}",
    ),
    ("flags.yaml", "command: [run, \"--api-key=@\"]"),
    ("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {region: \"@\"}"),
    (
        "map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  app.properties: |\n    db.password=@\n",
    ),
    (
        "collector.yaml",
        "receivers: {otlp: }\nexporters: {otlp: {endpoint: 'a:1', headers: {x-team: \"@\"}}}\nextensions: {basicauth/client: {client_auth: {username: u, password: \"@\"}}}\nservice: {extensions: [basicauth/client], pipelines: {traces: {receivers: [otlp], exporters: [otlp]}}}",
    ),
    (
        "compose.yaml",
        "services: {a: {image: i, environment: [\"POSTGRES_PASSWORD=@\"]}, token-issuer: {image: i, environment: {TOKEN: \"@\"}}}",
    ),
    ("dsn.yaml", "sentry: {dsn: \"@\"}"),
    ("connection.yaml", "database: \"Server=db;User Id=sa;Password=@;\""),
    ("script.yaml", "script: |\n  export DB_PASSWORD=@\n  run\n"),
    (
        "list-of-objects.yaml",
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {x: \"@\"}}]",
    ),
    (
        "last-applied.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {x: \"@\"}\ntype: \"Opaque\"",
    ),
];

/// Every piece of it that would give it away.
fn pieces(secret: &str) -> Vec<String> {
    let characters: Vec<char> = secret.chars().collect();
    let length = characters.len().min(10);
    let windows = characters.windows(length).map(|window| window.iter().collect());
    // What all secrets of a kind have in common gives nothing away.
    windows.filter(|piece: &String| !piece.contains("PRIVATE KEY") && !piece.contains("-----")).collect()
}

fn read(file: &str, text: &str) -> Result<Tree, drift::ReadError> {
    Tree::read(&BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]), &SecretKey::new([9; 32]))
}

fn check(class: &str, file: &str, template: &str, blue: &str, green: &str) {
    let (blue_text, green_text) = (template.replace('@', blue), template.replace('@', green));
    let trees = [read(file, &blue_text), read(file, &green_text)]
        .map(|tree| tree.unwrap_or_else(|error| panic!("{file}: {error}")));
    let drift = compare(&trees[0], &trees[1]);
    assert!(!drift.differences.is_empty(), "{class} in {file} is left out");
    assert_eq!(compare(&trees[0], &trees[0]).differences, [], "{class} in {file}");
    let told: String = drift.differences.iter().map(|one| format!("{one}\n")).collect();
    let gone = compare(&trees[0], &read(file, "").or_else(|_| read("none.yaml", "")).expect("it is read and written"));
    let found = rules(&trees[0], &trees[1], &Environments { blue: vec!["a:1".into()], green: vec![] });
    let mut outputs = vec![
        format!("{trees:?} {trees:#?}"),
        format!("{drift:?} {gone:?}"),
        serde_json::to_string(&drift).expect("it is read and written"),
        serde_json::to_string(&gone).expect("it is read and written"),
        told,
        format!("{found:?}"),
        serde_json::to_string(&found).expect("it is read and written"),
    ];
    outputs.extend(found.findings.iter().map(ToString::to_string));
    for broken in [
        format!("{blue_text}\n]}} : [\n'"),
        blue_text.replace('"', ""),
        format!("{blue_text}\n{blue_text}"),
        format!("<{blue_text}"),
        format!("*{blue}: [\n&{blue} "),
    ] {
        for name in [file, "a.yaml", "a.json", "a.toml", ".env", "a.properties"] {
            if let Err(error) = read(name, &broken) {
                outputs.push(format!("{error} {error:?} {error:#?}"));
            }
        }
    }
    for output in outputs {
        for piece in [blue, green].into_iter().flat_map(pieces) {
            assert!(!output.contains(&piece), "{class} in {file}: {piece} of {output}");
        }
    }
}

#[test]
fn secrets_by_their_shape_are_nowhere() {
    for (class, blue, green) in SHAPES {
        for (file, template) in ANYWHERE.iter().chain(&BY_NAME) {
            // A key is shown unless a known service made it: others could be digests of what they name.
            let unknown =
                matches!(class, "AWS secret key" | "bearer" | "basic" | "hexadecimal" | "random" | "base64url");
            if !(unknown && *file == "key.yaml") {
                check(class, file, template, blue, green);
            }
        }
    }
}

#[test]
fn secrets_by_their_name_are_nowhere() {
    for (class, blue, green) in NAMED {
        for (file, template) in BY_NAME {
            check(class, file, template, blue, green);
        }
    }
}

#[test]
fn passwords_in_urls_are_nowhere_and_the_rest_is_shown() {
    let template = "a: {url: 'postgres://shop:@@db.shop:5432/orders'}";
    for (class, blue, green) in NAMED {
        let (blue, green) = (blue.replace(['/', '@'], "_"), green.replace(['/', '@'], "_"));
        let text = |secret: &str| template.replacen('@', secret, 1);
        let (blue_tree, green_tree) = (
            read("a.yaml", &text(&blue)).expect("it is read and written"),
            read("a.yaml", &text(&green)).expect("it is read and written"),
        );
        let drift = compare(&blue_tree, &green_tree);
        let told = format!("{drift:?} {blue_tree:?} {}", drift.differences[0]);
        assert!(told.contains("postgres://shop:(secret)@db.shop:5432/orders"), "{class}: {told}");
        for piece in pieces(&blue).iter().chain(&pieces(&green)) {
            assert!(!told.contains(piece), "{class}: {told}");
        }
    }
}

#[test]
fn base64_of_a_secret_is_nowhere() {
    let text = |data: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, annotations: {{kubectl.kubernetes.io/last-applied-configuration: '{{\"data\":\"{data}\"}}'}}}}\ndata: {{x: {data}}}"
        )
    };
    let (blue, green) = (
        read("a.yaml", &text("Y29ycmVjdC1ob3JzZQ==")).expect("it is read and written"),
        read("a.yaml", &text("YmF0dGVyeS1zdGFwbGU=")).expect("it is read and written"),
    );
    let drift = compare(&blue, &green);
    let told = format!("{drift:?} {blue:?}");
    assert_eq!(drift.differences.len(), 1);
    for piece in ["Y29ycmVjdC1", "YmF0dGVyeS1", "correct-hor", "battery-st"] {
        assert!(!told.contains(piece), "{told}");
    }
}
