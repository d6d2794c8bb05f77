//! A notice as the bytes that a receiver takes.

use crate::{Notice, Template};
use model::UnixMillis;
use serde_json::{Value, json};

/// How a receiver wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON of our own, as Standard Webhooks 1.0 asks for: `type`, `timestamp`, `data`.
    Webhook,
    /// Slack's incoming webhooks: Block Kit.
    Slack,
    /// Teams' Workflows: an Adaptive Card in a message.
    Teams,
}

/// Characters of a header block of Slack's (Block Kit reference, "header": 150), and of any headline here.
const MAX_HEADER: usize = 150;

/// The body of the POST.
pub fn payload(form: Form, notice: &Notice, template: &Template, link: Option<&str>) -> Vec<u8> {
    let text = template.fill(notice, link);
    let value = match form {
        Form::Webhook => webhook(notice, &text, link),
        Form::Slack => slack(notice, &text),
        Form::Teams => teams(notice, &text, link),
    };
    serde_json::to_vec(&value).expect("strings and numbers can be written")
}

/// The subject and the text of an e-mail.
pub fn email(notice: &Notice, template: &Template, link: Option<&str>) -> (String, String) {
    (format!("[verdigris] {}", header(notice)), template.fill(notice, link))
}

fn webhook(notice: &Notice, text: &str, link: Option<&str>) -> Value {
    json!({
        "type": format!("verdigris.{}", notice.event.name()),
        "timestamp": rfc3339(notice.at),
        "data": {
            "id": notice.id,
            "event": notice.event.name(),
            "rollout": notice.rollout.as_ref().map(|id| &id.0),
            "headline": notice.headline,
            "cause": notice.cause,
            "link": link,
            "text": text,
        },
    })
}

/// In mrkdwn `&`, `<` and `>` are control characters, and nothing else is: so no text of ours mentions a channel or hides a
/// link.
fn slack(notice: &Notice, text: &str) -> Value {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({
        "text": header(notice),
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": header(notice), "emoji": false } },
            { "type": "section", "text": { "type": "mrkdwn", "text": escaped, "verbatim": true } },
            { "type": "context", "elements": [{ "type": "plain_text", "text": rfc3339(notice.at), "emoji": false }] },
        ],
    })
}

/// A card's text blocks take a part of Markdown; a line break of theirs is an empty line.
fn teams(notice: &Notice, text: &str, link: Option<&str>) -> Value {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            { "type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": true, "text": unmarked(&header(notice)) },
            { "type": "TextBlock", "wrap": true, "text": unmarked(text).replace('\n', "\n\n") },
            { "type": "TextBlock", "isSubtle": true, "size": "Small", "text": rfc3339(notice.at) },
        ],
    });
    if let Some(link) = link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open in Verdigris", "url": link }]);
    }
    json!({
        "type": "message",
        "attachments": [
            { "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card },
        ],
    })
}

/// Nothing that comes from a plan or a person becomes a link or a picture.
fn unmarked(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        if matches!(character, '[' | ']' | '*' | '_' | '\\' | '!') {
            out.push('\\');
        }
        out.push(character);
        out
    })
}

fn header(notice: &Notice) -> String {
    match notice.headline.char_indices().nth(MAX_HEADER - 1) {
        Some((end, _)) => format!("{}…", &notice.headline[..end]),
        None => notice.headline.clone(),
    }
}

/// RFC 3339, in UTC.
pub(crate) fn rfc3339(at: UnixMillis) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| at.0.to_string(), |moment| format!("{moment:.3}"))
}

#[cfg(test)]
mod tests;
