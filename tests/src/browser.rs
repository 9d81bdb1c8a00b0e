//! A browser without scripts, as far as the hub's pages need one: it keeps cookies, follows redirects, finds forms and
//! sends what is filled in. Nothing here knows the hub's code.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::hub::{Hub, encode};

/// Ends a test that would hang.
const HANG: Duration = Duration::from_secs(60);
/// The password of every account that is made here.
pub const PASSWORD: &str = "correct horse battery staple";

/// A browser. It knows one hub.
#[derive(Clone)]
pub struct Browser {
    issuer: String,
    host: String,
    base: String,
    from: Ipv4Addr,
    /// Cookies by name.
    pub cookies: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    /// Path and query that it came from.
    pub path: String,
    /// Status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Page {
    /// The first header field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// What stands in the page without its tags, blanks folded, entities of markup undone.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.body.as_str();
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            text.push(' ');
            rest = after.split_once('>').map_or("", |(_, after)| after);
        }
        text.push_str(rest);
        unescape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The fields that the form with this action would send as it is: hidden, filled and ticked ones.
    #[must_use]
    pub fn form(&self, action: &str) -> Vec<(String, String)> {
        let forms = self.body.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
        let form = forms.into_iter().find(|form| {
            let tag = form.split('>').next().unwrap();
            attribute(tag, "action").is_some_and(|given| given == action || given.ends_with(action))
        });
        let form = form.unwrap_or_else(|| panic!("no form for {action} in {}", self.body));
        let inputs = form.split("<input").skip(1).map(|input| input.split('>').next().unwrap());
        let sent = inputs.filter(|tag| !tag.contains("type=\"checkbox\"") || tag.ends_with(" checked"));
        let fields =
            sent.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
        fields.collect()
    }
}

impl Browser {
    /// At the hub of this issuer.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let rest = issuer.strip_prefix("http://").expect("a hub on plain HTTP");
        let (host, base) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        Self {
            issuer: issuer.to_owned(),
            host: host.to_owned(),
            base,
            from: Ipv4Addr::LOCALHOST,
            cookies: BTreeMap::new(),
        }
    }

    /// Comes from this loopback address from now on.
    #[must_use]
    pub fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = address;
        self
    }

    /// Loads a page (a path below the issuer's, or a whole URL of the hub) and follows redirects.
    pub fn get(&mut self, path: &str) -> Page {
        let page = self.get_only(path);
        self.follow(page)
    }

    /// Loads a page and follows nothing.
    pub fn get_only(&mut self, path: &str) -> Page {
        self.send("GET", path, &[], None)
    }

    /// Sends a form as a page of the hub would and follows redirects.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.post_only(path, fields);
        self.follow(page)
    }

    /// Sends a form as a page of the hub would and follows nothing.
    pub fn post_only(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = format!("http://{}", self.host);
        self.send("POST", path, &[("Origin", &origin)], Some(&form(fields)))
    }

    /// Fills in the form of `page` that goes to `action`, and sends it. Given fields replace those of the page.
    pub fn submit(&mut self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let form = page.form(action);
        let kept = form.iter().filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        let mut all: Vec<(&str, &str)> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend_from_slice(fields);
        self.post(action, &all)
    }

    /// Sends a request of any kind, with cookies, and follows nothing.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Page {
        let path = path.strip_prefix(&self.issuer).unwrap_or(path);
        let path = if path.starts_with(&format!("{}/", self.base)) && !self.base.is_empty() {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host);
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            }
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body.unwrap_or_default());
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let page = parse(&path, &answer);
        for (_, cookie) in page.headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.keep(cookie);
        }
        page
    }

    fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..10 {
            let Some(location) = (page.status == 303).then(|| page.header("location").unwrap().to_owned()) else {
                return page;
            };
            page = self.get_only(&location);
        }
        panic!("redirects without end: {page:?}");
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').unwrap();
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn connect(&self) -> TcpStream {
        let to: SocketAddr = self.host.parse().expect("an address and a port");
        let stream = match to.ip() {
            // Only where it matters: a port that is bound beforehand may be the one of a hub that starts again.
            IpAddr::V4(address) if self.from != Ipv4Addr::LOCALHOST => {
                let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
                use std::os::fd::AsRawFd as _;
                bind(fd.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(self.from, 0))).unwrap();
                let to = SockaddrIn::from(std::net::SocketAddrV4::new(address, to.port()));
                connect(fd.as_raw_fd(), &to).unwrap();
                TcpStream::from(fd)
            }
            _ => TcpStream::connect(to).unwrap(),
        };
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    }
}

/// The setup code of a fresh hub, as it lies in its directory.
#[must_use]
pub fn setup_code(hub: &Hub) -> String {
    std::fs::read_to_string(hub.dir().join("store/setup-code")).unwrap().trim().to_owned()
}

/// Makes the first account of a fresh hub, an administrator, with [`PASSWORD`]. The browser is signed in as it.
#[must_use]
pub fn first_account(hub: &Hub, name: &str) -> Browser {
    let mut browser = Browser::new(&hub.issuer);
    let page = browser.get("/setup");
    let code = setup_code(hub);
    let fields = [("code", code.as_str()), ("name", name), ("password", PASSWORD), ("again", PASSWORD)];
    let page = browser.submit(&page, "/setup", &fields);
    assert!(page.status == 200 && page.text().contains("Instances"), "no first account: {page:?}");
    browser
}

/// Makes another account, by an invitation of `admin`, with [`PASSWORD`]. The browser is signed in as it.
#[must_use]
pub fn invited_account(admin: &mut Browser, name: &str) -> Browser {
    let page = admin.get("/accounts");
    let page = admin.submit(&page, "/invitations", &[]);
    let text = page.text();
    let code = text.split("/join?code=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let mut browser = Browser::new(&admin.issuer);
    let page = browser.get(&format!("/join?code={code}"));
    let page = browser.submit(&page, "/join", &[("name", name), ("password", PASSWORD), ("again", PASSWORD)]);
    assert!(page.status == 200 && page.text().contains("Instances"), "no account: {page:?}");
    browser
}

/// A browser that has signed in.
#[must_use]
pub fn signed_in(issuer: &str, name: &str, password: &str) -> Browser {
    let mut browser = Browser::new(issuer);
    let page = sign_in(&mut browser, name, password);
    assert!(page.status == 200 && page.text().contains("Instances"), "not signed in: {page:?}");
    browser
}

/// Signs a browser in; the page that comes of it.
pub fn sign_in(browser: &mut Browser, name: &str, password: &str) -> Page {
    let page = browser.get("/sign-in");
    browser.submit(&page, "/sign-in", &[("name", name), ("password", password)])
}

/// Approves what waits under this code, with all scopes that the page offers.
pub fn approve_device(browser: &mut Browser, user_code: &str) -> Page {
    let page = browser.get(&format!("/device?user_code={user_code}"));
    assert_eq!(page.status, 200, "the code is not known: {}", page.text());
    browser.submit(&page, "/device", &[("decision", "approve")])
}

/// Denies what waits under this code.
pub fn deny_device(browser: &mut Browser, user_code: &str) -> Page {
    let page = browser.get(&format!("/device?user_code={user_code}"));
    browser.submit(&page, "/device", &[("decision", "deny")])
}

/// A form, urlencoded.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

fn parse(path: &str, answer: &[u8]) -> Page {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}"));
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = answer[end + 4..].to_vec();
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
        body = unchunk(&body);
    }
    Page { path: path.to_owned(), status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = memchr::memmem::find(rest, b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 4 + length..];
    }
    body
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    Some(unescape(rest.split('"').next()?))
}

fn unescape(text: &str) -> String {
    let named = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"");
    let named = named.replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
    named.replace("&amp;", "&")
}
