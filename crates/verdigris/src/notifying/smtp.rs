//! A notification as an e-mail: SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the beginning (RFC 8314). Beyond
//! loopback nothing goes without TLS, whatever the server offers. One message in one connection, base64 all the way, so that
//! no line is too long and none begins with a dot.

use super::{Failure, is_loopback, place};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use model::{ClientTls, UnixMillis};
use std::sync::Arc;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// A reply: RFC 5321 has 512 bytes a line, and an EHLO some thirty lines.
const MAX_REPLY_BYTES: usize = 16 * 1024;
/// Characters of a line of base64 (RFC 2045).
const LINE: usize = 76;
/// Bytes of an encoded word: 75 characters with what is around them (RFC 2047), in whole characters.
const WORD_BYTES: usize = 42;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The message, with its headers. Addresses were checked when the configuration was read.
pub fn message((from, to): (&str, &[String]), id: &str, now: UnixMillis, (subject, text): (&str, &str)) -> String {
    let moment = Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_string(&moment).unwrap_or_default();
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let encoded = BASE64_STANDARD.encode(text.replace('\n', "\r\n") + "\r\n");
    let body: Vec<&str> = encoded.as_bytes().chunks(LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!(
        "From: Verdigris <{from}>\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        to.join(",\r\n "),
        words(subject),
        body.join("\r\n")
    )
}

/// A header's text (RFC 2047), so that no character of it can end the header.
fn words(text: &str) -> String {
    if text.len() <= LINE && text.chars().all(|character| character.is_ascii_graphic() || character == ' ') {
        return text.to_owned();
    }
    let mut parts = vec![String::new()];
    for character in text.chars() {
        if parts.last().is_some_and(|part| part.len() + character.len_utf8() > WORD_BYTES) {
            parts.push(String::new());
        }
        parts.last_mut().expect("there is always one").push(character);
    }
    let encoded = |part: &String| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(part));
    parts.iter().map(encoded).collect::<Vec<_>>().join("\r\n ")
}

/// Sends it. Takes as long as the server takes: the caller bounds it.
pub async fn send(
    server: &str,
    tls: &ClientTls,
    login: Option<(&str, Zeroizing<String>)>,
    (from, to): (&str, &[String]),
    message: &str,
) -> Result<(), Failure> {
    let never = |what: &str| Failure::Never(what.to_owned());
    let (host, port, secure) = place(server).ok_or_else(|| never("its server is no URL"))?;
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| Failure::Again(format!("does not accept connections: {error}")))?;
    let own = stream.local_addr().map(|address| address.ip());
    let hello = own.map_or("EHLO localhost".to_owned(), |ip| match ip {
        std::net::IpAddr::V4(ip) => format!("EHLO [{ip}]"),
        std::net::IpAddr::V6(ip) => format!("EHLO [IPv6:{ip}]"),
    });
    let client = Client::new(tls, &host, Alpn::Http1).map_err(|error| never(&error.to_string()))?;
    let secured = async |stream: TcpStream| {
        Arc::new(client).connect(stream).await.map_err(|error| Failure::Again(error.to_string()))
    };
    let mut plain = Talk { stream, read: Vec::new() };
    let mut talk: Talk<Box<dyn Stream>> = if secure {
        let mut talk = Talk { stream: Box::new(secured(plain.stream).await?) as Box<dyn Stream>, read: Vec::new() };
        talk.expect(2).await?;
        talk
    } else {
        plain.expect(2).await?;
        let offers = plain.command(&hello, 2).await?;
        if offers.lines().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))) {
            plain.command("STARTTLS", 2).await?;
            // What came before TLS was said by nobody knows whom (CVE-2011-0411).
            if !plain.read.is_empty() {
                return Err(Failure::Again("the server spoke before TLS began".to_owned()));
            }
            Talk { stream: Box::new(secured(plain.stream).await?), read: Vec::new() }
        } else if is_loopback(&host) {
            Talk { stream: Box::new(plain.stream), read: plain.read }
        } else {
            return Err(Failure::Again("the server does not offer STARTTLS, and nothing goes without TLS".to_owned()));
        }
    };
    talk.command(&hello, 2).await?;
    if let Some((user, password)) = login {
        let plain = Zeroizing::new(format!("\0{user}\0{}", &**password));
        let line = Zeroizing::new(format!("AUTH PLAIN {}", BASE64_STANDARD.encode(plain.as_bytes())));
        talk.command(&line, 2).await?;
    }
    talk.command(&format!("MAIL FROM:<{from}>"), 2).await?;
    for to in to {
        talk.command(&format!("RCPT TO:<{to}>"), 2).await?;
    }
    talk.command("DATA", 3).await?;
    talk.command(&format!("{message}."), 2).await?;
    // It has the message; whether it says goodbye is nothing to us.
    let _ = talk.command("QUIT", 2).await;
    Ok(())
}

/// Lines out, replies in.
struct Talk<S> {
    stream: S,
    /// What came after the last reply.
    read: Vec<u8>,
}

impl<S: Stream> Talk<S> {
    async fn command(&mut self, line: &str, class: u8) -> Result<String, Failure> {
        let broke = |error| Failure::Again(format!("the connection broke: {error}"));
        self.stream.write_all(line.as_bytes()).await.map_err(broke)?;
        self.stream.write_all(b"\r\n").await.map_err(broke)?;
        self.stream.flush().await.map_err(broke)?;
        self.expect(class).await
    }

    /// A reply whose first digit is this. Its text is not repeated: it may hold addresses.
    async fn expect(&mut self, class: u8) -> Result<String, Failure> {
        let reply = self.reply().await?;
        let code = reply.lines().last().and_then(|line| line.get(..3)).unwrap_or_default().to_owned();
        match code.as_bytes().first() {
            Some(first) if *first == b'0' + class => Ok(reply),
            // RFC 5321, 4.2.1: a permanent failure.
            Some(b'5') => Err(Failure::Never(format!("SMTP code {code}"))),
            _ => Err(Failure::Again(format!("SMTP code {code}"))),
        }
    }

    async fn reply(&mut self) -> Result<String, Failure> {
        let wrong = |what: &str| Failure::Again(what.to_owned());
        let mut chunk = [0; 1_024];
        loop {
            if let Some(end) = end_of_reply(&self.read) {
                let reply: Vec<u8> = self.read.drain(..end).collect();
                let text = String::from_utf8_lossy(&reply).into_owned();
                let fits =
                    |line: &str| line.get(..3).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
                return if text.lines().all(fits) { Ok(text) } else { Err(wrong("does not speak SMTP")) };
            }
            if self.read.len() > MAX_REPLY_BYTES {
                return Err(wrong("does not speak SMTP: its reply has no end"));
            }
            let read = self.stream.read(&mut chunk).await;
            match read.map_err(|error| Failure::Again(format!("the connection broke: {error}")))? {
                0 => return Err(wrong("the connection was closed")),
                read => self.read.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

/// Behind the first line that no `-` goes on from.
fn end_of_reply(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + bytes[from..].iter().position(|byte| *byte == b'\n')? + 1;
        if bytes.get(from + 3) != Some(&b'-') {
            return Some(end);
        }
        from = end;
    }
}
