use super::*;
use crate::Event;
use crate::template::TemplateError;
use crate::{MAX_TRIES, wait_ms};
use proptest::prelude::*;
use rollout::RolloutId;

fn notice(headline: &str, cause: Option<&str>) -> Notice {
    Notice {
        id: "msg_1".to_owned(),
        to: "team".to_owned(),
        event: Event::RolledBack,
        rollout: Some(RolloutId("shop.1".to_owned())),
        at: UnixMillis(1_767_225_600_000),
        headline: headline.to_owned(),
        cause: cause.map(str::to_owned),
    }
}

fn json_of(form: Form, notice: &Notice) -> Value {
    let link = Some("https://v.example/rollouts/shop.1");
    serde_json::from_slice(&payload(form, notice, &Template::default(), link)).unwrap()
}

#[test]
fn each_form_says_what_happened_and_why() {
    let notice = notice("shop.1 rolls back: <!channel> & [x](y)", Some("spans are lost"));
    let webhook = json_of(Form::Webhook, &notice);
    assert_eq!(webhook["type"], "verdigris.rolledBack");
    assert_eq!(webhook["timestamp"], "2026-01-01T00:00:00.000Z");
    assert_eq!(webhook["data"]["cause"], "spans are lost");
    let slack = json_of(Form::Slack, &notice);
    let section = slack["blocks"][1]["text"]["text"].as_str().unwrap();
    let expected =
        "shop.1 rolls back: &lt;!channel&gt; &amp; [x](y)\nspans are lost\nhttps://v.example/rollouts/shop.1";
    assert_eq!(section, expected);
    let teams = json_of(Form::Teams, &notice);
    let card = &teams["attachments"][0]["content"];
    assert_eq!(card["body"][0]["text"], "shop.1 rolls back: <\\!channel> & \\[x\\](y)");
    assert_eq!(card["actions"][0]["url"], "https://v.example/rollouts/shop.1");
}

#[test]
fn long_headlines_are_cut_at_a_character() {
    let notice = notice(&"ä".repeat(400), None);
    let slack = json_of(Form::Slack, &notice);
    assert_eq!(slack["blocks"][0]["text"]["text"].as_str().unwrap().chars().count(), MAX_HEADER);
    let (subject, _) = email(&notice, &Template::default(), None);
    assert!(subject.starts_with("[verdigris] ää") && !subject.contains('\n'), "{subject}");
}

#[test]
fn templates_are_checked_and_lines_that_say_nothing_are_left_out() {
    let check = |text: &str, expected: &str| {
        let said = match Template::parse(text) {
            Ok(template) => template.fill(&notice("it rolls back", None), None),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "of {text:?}");
    };
    check("{event} of {rollout}: {headline}\n{cause}\n{link}", "rolledBack of shop.1: it rolls back");
    check("{{{headline}}}", "{it rolls back}");
    check("{time}", "2026-01-01T00:00:00.000Z");
    let known = "{rollout}, {event}, {headline}, {cause}, {link}, {time}";
    check("see {url}", &format!("character 5: found {{url}}, expected one of {known}"));
    check("{headline", "character 1: found a single {, expected a placeholder, or {{ for the brace itself");
    check("a } b", "character 3: found a single }, expected a placeholder, or }} for the brace itself");
    check(" ", "found 1 bytes, expected 1 to 2048");
}

#[test]
fn waits_double_and_end_within_about_an_hour() {
    let waits: Vec<u64> = (1..MAX_TRIES).map(|failed| wait_ms("msg_1", failed).unwrap()).collect();
    for (index, wait) in waits.iter().enumerate() {
        let least = 30_000 << index;
        assert!((least..=least + least / 5).contains(wait), "{waits:?}");
    }
    assert_eq!((wait_ms("msg_1", 0), wait_ms("msg_1", MAX_TRIES)), (None, None));
    assert_ne!(wait_ms("msg_1", 3), wait_ms("msg_2", 3), "what failed together must not come again together");
    assert!((63 * 60_000..77 * 60_000).contains(&waits.iter().sum::<u64>()));
}

proptest! {
    #[test]
    fn no_template_panics_and_what_parses_is_filled_in(text in "[{}a-z\n ]{0,40}") {
        match Template::parse(&text) {
            Ok(template) => {
                template.fill(&notice("h", Some("c")), None);
            }
            Err(TemplateError::Length { .. } | TemplateError::Brace { .. } | TemplateError::Unknown { .. }) => {}
        }
    }

    #[test]
    fn whatever_is_told_is_json(headline in ".{0,300}", cause in ".{0,300}") {
        for form in [Form::Webhook, Form::Slack, Form::Teams] {
            json_of(form, &notice(&headline, Some(&cause)));
        }
    }
}
