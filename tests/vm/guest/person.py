"""A person at the hub's pages, without script: fills forms as a browser does. The cookies are kept from call to call.

    person.py HUB JAR PAGE FIELD=VALUE... [-- FIELD=VALUE...]...

Gets PAGE, fills the first form that has all of the fields, sends it, and prints where that led and what the page says. What
follows `--` is filled into the page that came back. A field that is a button is pressed. Ends with 1 if a page has no such
form or an answer is no success.
"""

import http.cookiejar
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser


class Forms(HTMLParser):
    """The forms of a page: where they go, and their fields as they stand; and the page's words."""

    def __init__(self):
        super().__init__()
        self.forms, self.words = [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append({"action": attributes.get("action"), "method": attributes.get("method", "get"), "fields": [], "buttons": []})
        name = attributes.get("name")
        if not self.forms or not name:
            return
        value = attributes.get("value", "")
        if tag == "button" or attributes.get("type") == "submit":
            self.forms[-1]["buttons"].append((name, value))
        elif attributes.get("type") in ("checkbox", "radio"):
            self.forms[-1]["fields"].append((name, value, "checked" in attributes))
        elif tag in ("input", "select", "textarea"):
            self.forms[-1]["fields"].append((name, value, True))

    def handle_data(self, data):
        self.words.append(data)


def filled(form, wanted):
    """What is sent, or None if the form has not all that is wanted."""
    sent = [(name, value) for name, value, counts in form["fields"] if counts and name not in wanted]
    known = {name for name, _, _ in form["fields"]}
    for name, value in wanted.items():
        if name not in known and (name, value) not in form["buttons"]:
            return None
        sent.append((name, value))
    return sent


def main():
    hub, jar_file, page = sys.argv[1:4]
    steps, step = [], {}
    for argument in sys.argv[4:]:
        if argument == "--":
            steps.append(step)
            step = {}
        else:
            name, value = argument.split("=", 1)
            # `@FILE`: what is in the file, so that no password stands on a command line.
            step[name] = open(value[1:], encoding="utf-8").read().rstrip("\n") if value.startswith("@") else value
    steps.append(step)
    jar = http.cookiejar.LWPCookieJar(jar_file)
    try:
        jar.load(ignore_discard=True)
    except FileNotFoundError:
        pass
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.addheaders = [("User-Agent", "person"), ("Accept", "text/html")]
    try:
        answer = browser.open(urllib.parse.urljoin(hub, page), timeout=60)
        for step in steps if steps != [{}] else []:
            forms = Forms()
            forms.feed(answer.read().decode())
            for form in forms.forms:
                sent = filled(form, step)
                if sent is not None:
                    break
            else:
                print("person: no such form at", answer.url, *forms.words)
                return 1
            request = urllib.request.Request(
                urllib.parse.urljoin(answer.url, form["action"] or answer.url),
                data=urllib.parse.urlencode(sent).encode(),
                headers={"Origin": hub.rstrip("/")},
                method=form["method"].upper(),
            )
            answer = browser.open(request, timeout=60)
        code = 0
    except urllib.error.HTTPError as error:
        answer, code = error, 1
    jar.save(ignore_discard=True)
    forms = Forms()
    forms.feed(answer.read().decode(errors="replace"))
    print(answer.code if code else 200, answer.url)
    print(re.sub(r"\s*\n\s*", "\n", "".join(forms.words)).strip())
    return code


sys.exit(main())
