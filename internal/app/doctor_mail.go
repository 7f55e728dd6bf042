package app

import (
	"context"
	"crypto"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"dateline/internal/email"
)

// mail reaches the server and looks up what mailbox providers look up.
func (e *examination) mail(ctx context.Context) {
	if e.faulty["SMTP_URL"] {
		return
	}
	if e.cfg.SMTPURL == "" {
		e.say("note", "mail", "no SMTP_URL: mails stay in the outbox inside the program, readers get none")
		return
	}
	server, err := email.ParseURL(e.cfg.SMTPURL)
	if err != nil {
		e.say("bad", "mail", "SMTP_URL: %v", err)
		return
	}
	dialer := net.Dialer{Timeout: lookUpWithin}
	conn, err := dialer.DialContext(ctx, "tcp", server.Addr())
	if err != nil {
		e.say("bad", "mail", "the server of SMTP_URL can't be reached: %v", err)
	} else {
		conn.Close()
		e.say("ok", "mail", "the server can be reached")
	}
	if e.cfg.placeholderSender() {
		return // noted above; its domain is nobody's
	}
	e.mailNames(ctx, server.Host)
}

// mailNames looks at the records of the sender's domain, and at the names of the
// server's addresses.
func (e *examination) mailNames(ctx context.Context, host string) {
	_, domain, _ := strings.Cut(e.cfg.MailFrom.Address, "@")
	e.spf(ctx, domain, host)
	e.dmarc(ctx, domain)
	if e.cfg.DKIMKey != "" {
		e.dkim(ctx, e.cfg.DKIMSelector+"._domainkey."+domain)
	}
	e.backDoor(ctx, domain)
	// The envelope's domain is the one that SPF is about (RFC 7208, 2.4), and DMARC
	// wants it to be of the same organisation as From.
	if _, back, _ := strings.Cut(e.cfg.BounceAddress, "@"); back != "" && back != domain {
		e.spf(ctx, back, host)
		e.backDoor(ctx, back)
		e.aligned(domain, back)
	}
	if e.cfg.BounceListen == "" {
		e.say("note", "bounces", "no DATELINE_BOUNCE_LISTEN: failures and complaints that come later than the SMTP answer go to %s, where a person has to read them", e.cfg.BounceAddress)
	}
	e.reverse(ctx, host)
}

// aligned wants both domains to be of one organisation: else SPF passes and DMARC does
// not count it (RFC 7489, 3.1.2).
func (e *examination) aligned(from, back string) {
	ours, err := publicsuffix.EffectiveTLDPlusOne(from)
	theirs, err2 := publicsuffix.EffectiveTLDPlusOne(back)
	if err == nil && err2 == nil && ours != theirs {
		e.say("note", "DMARC", "mail comes back to %s, which is not of %s: SPF counts for nothing there, and DKIM alone has to pass", back, ours)
	}
}

// spf wants one record that says who may send, and that nobody else may.
func (e *examination) spf(ctx context.Context, domain, host string) {
	records, ok := e.records(ctx, "SPF", domain, "v=spf1", " ")
	if !ok {
		e.say("note", "SPF", "the TXT record to publish at %s: %s (or with the include: that your mail provider names)", domain, e.spfRecord(ctx, host))
		return
	}
	if len(records) > 1 {
		e.say("bad", "SPF", "%s has %d records v=spf1, and receivers take none of several (RFC 7208, 4.5): merge them into one", domain, len(records))
		return
	}
	terms := strings.Fields(strings.ToLower(records[0]))
	switch last := terms[len(terms)-1]; {
	case slices.Contains(terms, "+all") || slices.Contains(terms, "all"):
		e.say("bad", "SPF", "the record at %s lets everybody send in your name: end it in -all", domain)
	case last == "-all" || last == "~all" || strings.HasPrefix(last, "redirect="):
		e.say("ok", "SPF", "%s", domain)
	default:
		e.say("note", "SPF", "the record at %s does not end in -all or ~all: others may send in your name", domain)
	}
}

// spfRecord allows the server of SMTP_URL where it has an address out there.
func (e *examination) spfRecord(ctx context.Context, host string) string {
	if public, _ := e.publicAddresses(ctx, host); len(public) > 0 && net.ParseIP(host) == nil {
		return "v=spf1 a:" + host + " -all"
	}
	return "v=spf1 ip4:ADDRESS-THAT-SENDS -all"
}

// dmarc wants one record with a policy, of the domain or of the one it is part
// of, as an organisation registers it (RFC 7489, 6.6.3).
func (e *examination) dmarc(ctx context.Context, domain string) {
	name := "_dmarc." + domain
	whole, err := publicsuffix.EffectiveTLDPlusOne(domain)
	inherits := err == nil && whole != domain && len(e.marked(ctx, name, "v=DMARC1", ";")) == 0 && len(e.marked(ctx, "_dmarc."+whole, "v=DMARC1", ";")) > 0
	if inherits {
		name = "_dmarc." + whole
	}
	records, ok := e.records(ctx, "DMARC", name, "v=DMARC1", ";")
	if !ok {
		e.say("note", "DMARC", "the TXT record to publish at %s: v=DMARC1; p=none; rua=mailto:dmarc@%s (p=quarantine once the reports show no mail of yours that fails)", name, domain)
		return
	}
	if len(records) > 1 {
		e.say("bad", "DMARC", "%s has %d records v=DMARC1, and receivers take none of several (RFC 7489, 6.6.3): leave one", name, len(records))
		return
	}
	all := tags(records[0])
	policy := strings.ToLower(all["p"])
	if sub, ok := all["sp"]; ok && inherits {
		policy = strings.ToLower(sub)
	}
	switch policy {
	case "quarantine", "reject":
		e.say("ok", "DMARC", "%s", name)
	case "none":
		e.say("note", "DMARC", "%s says p=none: enough for Gmail, Yahoo and Outlook, but others can send in your name; p=quarantine once the reports show no mail of yours that fails", name)
	default:
		e.say("bad", "DMARC", "%s has no policy that receivers know: write p=none, p=quarantine or p=reject", name)
	}
	if all["rua"] == "" {
		e.say("note", "DMARC", "%s asks for no reports: add rua=mailto:dmarc@%s and see who sends in your name", name, domain)
	}
}

// dkim looks for our key in the DNS: a record that holds another one is as bad
// as none, every signature fails.
func (e *examination) dkim(ctx context.Context, name string) {
	key, err := email.ParseDKIMKey(e.cfg.DKIMKey)
	if err != nil {
		return // said with the configuration
	}
	texts, err := e.lookTXT(ctx, name)
	fits := func(text string) bool { return email.FitsDKIMRecord(key, text) }
	switch at := slices.IndexFunc(texts, fits); {
	case at >= 0:
		e.say("ok", "DKIM", "%s holds our key", name)
		// t= is a list: "y:s" (RFC 6376, 3.6.1).
		if flags := strings.Split(tags(texts[at])["t"], ":"); slices.Contains(flags, "y") {
			e.say("note", "DKIM", "%s says t=y, a key that is being tried: receivers may take its mails as unsigned; publish it without", name)
		}
		return
	case err != nil:
		e.say("bad", "DKIM", "no TXT record at %s could be read (%v): no signature can be checked", name, err)
	case slices.ContainsFunc(texts, revoked):
		e.say("bad", "DKIM", "the TXT record at %s has an empty p=, a key that was revoked: every signature fails", name)
	default:
		e.say("bad", "DKIM", "the TXT record at %s does not hold our key: every signature fails", name)
	}
	e.publishDKIM(key, name)
}

func (e *examination) publishDKIM(key crypto.Signer, name string) {
	if record, err := email.DKIMRecord(key); err == nil {
		e.say("note", "DKIM", "the record to publish at %s: %s", name, record)
	}
}

func revoked(text string) bool {
	p, ok := tags(text)["p"]
	return ok && p == ""
}

// tags reads a record of name=value; name=value, without blanks.
func tags(text string) map[string]string {
	out := map[string]string{}
	for tag := range strings.SplitSeq(text, ";") {
		if name, value, ok := strings.Cut(tag, "="); ok {
			out[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
	}
	return out
}

// backDoor wants a way for bounces to come back: an MX that can be found, or an
// address of the domain itself (RFC 5321, 5.1).
func (e *examination) backDoor(ctx context.Context, domain string) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	found, err := e.resolver.LookupMX(ctx, domain)
	var hosts []string
	for _, mx := range found {
		hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
	}
	if len(hosts) == 0 {
		hosts = []string{domain}
	}
	unknown := e.lookUp(ctx, hosts)
	switch {
	case slices.Equal(hosts, []string{""}): // RFC 7505
		e.say("bad", "MX", "the MX record of %s says that it takes no mail: bounces and answers can't come back, and receivers refuse such a sender", domain)
	case len(unknown) < len(hosts):
		e.say("ok", "MX", "mail for %s has somewhere to go", domain)
	case len(found) > 0:
		e.say("bad", "MX", "%s, where mail for %s goes, has no address: bounces can't come back", strings.Join(hosts, ", "), domain)
	default:
		e.say("bad", "MX", "%s has neither an MX record nor an address (%v): bounces can't come back, and receivers refuse such a sender; publish MX 10 and the name of the server that takes its mail", domain, err)
	}
}

// reverse wants every public address of the server to have a name that leads
// back to it. A server inside is a relay, whose outward address we can't see.
func (e *examination) reverse(ctx context.Context, host string) {
	public, err := e.publicAddresses(ctx, host)
	switch {
	case err != nil:
		e.say("bad", "PTR", "the server of SMTP_URL, %s, can't be looked up: %v", host, err)
		return
	case len(public) == 0:
		e.say("note", "PTR", "%s is inside: its relay's outward address must have a PTR record with a name that leads back to it (else Gmail refuses: 5.7.25)", host)
		return
	}
	for _, addr := range public {
		if name, ok := e.confirmed(ctx, addr); ok {
			e.say("ok", "PTR", "%s is %s, and back", addr, name)
		} else if name == "" {
			e.say("bad", "PTR", "%s has no PTR record that could be read: Gmail refuses mail from there (5.7.25); whoever gave you the address sets it, to a name whose A or AAAA record is %s", addr, addr)
		} else {
			e.say("bad", "PTR", "%s has the PTR %s, which does not lead back: Gmail refuses mail from there (5.7.25); publish %s as an address of %s", addr, name, addr, name)
		}
	}
}

// publicAddresses are those of a host that the world can see.
func (e *examination) publicAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	texts, err := []string{host}, error(nil)
	if _, parse := netip.ParseAddr(host); parse != nil {
		texts, err = e.resolver.LookupHost(ctx, host)
	}
	var out []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if addr = addr.Unmap(); addr.IsGlobalUnicast() && !addr.IsPrivate() && !sharedSpace().Contains(addr) {
			out = append(out, addr)
		}
	}
	return out, err
}

// sharedSpace is what providers use behind their own NAT (RFC 6598).
func sharedSpace() netip.Prefix { return netip.MustParsePrefix("100.64.0.0/10") }

// confirmed gives a name of an address, one that leads back if there is any.
func (e *examination) confirmed(ctx context.Context, addr netip.Addr) (name string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	found, err := e.resolver.LookupAddr(ctx, addr.String())
	if err != nil {
		return "", false
	}
	for _, full := range found {
		name = strings.TrimSuffix(full, ".")
		back, err := e.resolver.LookupHost(ctx, name)
		if err == nil && slices.ContainsFunc(back, func(text string) bool { a, err := netip.ParseAddr(text); return err == nil && a.Unmap() == addr }) {
			return name, true
		}
	}
	return name, false
}

func (e *examination) lookTXT(ctx context.Context, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	return e.resolver.LookupTXT(ctx, name)
}

// marked are the TXT records of a version: the mark by itself, or before what
// ends it. A record that only speaks of it, or v=spf10, is another.
func (e *examination) marked(ctx context.Context, name, mark, end string) []string {
	texts, _ := e.lookTXT(ctx, name)
	return ofVersion(texts, mark, end)
}

func ofVersion(texts []string, mark, end string) (out []string) {
	for _, text := range texts {
		first, _, _ := strings.Cut(text, end)
		if strings.EqualFold(strings.Join(strings.Fields(first), ""), mark) {
			out = append(out, text)
		}
	}
	return out
}

// records are the TXT records of a version, and says so where there is none.
func (e *examination) records(ctx context.Context, what, name, mark, end string) ([]string, bool) {
	texts, err := e.lookTXT(ctx, name)
	out := ofVersion(texts, mark, end)
	switch {
	case len(out) > 0:
		return out, true
	case err != nil:
		e.say("bad", what, "no TXT record at %s could be read (%v): Gmail, Yahoo and Outlook refuse bulk mail without", name, err)
	default:
		e.say("bad", what, "the TXT records at %s have no %s: Gmail, Yahoo and Outlook refuse bulk mail without", name, mark)
	}
	return nil, false
}
