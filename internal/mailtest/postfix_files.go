package mailtest

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// masterFile are the services: no chroot, one port, and a log without syslog.
// The first column of smtpd is filled in.
const masterFile = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

// main are the lines of main.cf. What is not there is Debian's.
func (p *Postfix) main() map[string]string {
	lines := map[string]string{
		"compatibility_level":   "3.6",
		"queue_directory":       p.path("queue"),
		"data_directory":        p.path("data"),
		"maillog_file":          p.path("mail.log"),
		"maillog_file_prefixes": p.dir,
		"myhostname":            "mx.postfix.example",
		"inet_interfaces":       "127.0.0.1",
		"inet_protocols":        "ipv4",
		// Mail for the machine's own users is none of a test's business.
		"mydestination":   "",
		"local_transport": "error:5.1.1 there are no users here",
		"alias_maps":      "",
		"alias_database":  "",
		// No name service: every address is in a table here.
		"smtp_dns_support_level":       "disabled",
		"smtpd_peername_lookup":        "no",
		"relay_domains":                "texthash:" + p.path("etc/domains"),
		"transport_maps":               "texthash:" + p.path("etc/transport"),
		"smtpd_relay_restrictions":     "reject_unauth_destination",
		"smtpd_recipient_restrictions": "check_policy_service inet:" + p.policy.addr() + ", check_recipient_access texthash:" + p.path("etc/access"),
		// Or smtpd would refuse at RCPT what is to be found undeliverable later.
		"smtpd_reject_unlisted_recipient": "no",
		"smtpd_policy_service_timeout":    "10s",
		// One recipient at a time, as the servers behind it want.
		"smtp_destination_recipient_limit": "1",
		// Whole days of waiting in seconds.
		"queue_run_delay":       "1s",
		"minimal_backoff_time":  "1s",
		"maximal_backoff_time":  "4s",
		"notify_classes":        "", // no copies to a postmaster
		"default_process_limit": "20",
	}
	maps.Copy(lines, p.options.Main)
	return lines
}

// writeFiles lays the folder out, for Postfix's own user to walk through.
// Postfix makes the rest of its queue.
func (p *Postfix) writeFiles() error {
	if err := os.Chmod(p.dir, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(p.path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := p.giveData(); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return err
	}
	files := p.tables()
	files["master.cf"] = fmt.Sprintf(masterFile, "127.0.0.1:"+port)
	files["main.cf"] = table(p.main(), " = ")
	for name, text := range files {
		if err := os.WriteFile(p.path("etc/"+name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// giveData makes Postfix's user the owner of the data folder, as it insists on.
func (p *Postfix) giveData() error {
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return err
	}
	return os.Chown(p.path("data"), uid, -1)
}

// tables say what becomes of mail, by domain.
func (p *Postfix) tables() map[string]string {
	domains, transport, access := map[string]string{}, map[string]string{}, map[string]string{}
	for domain, fate := range p.options.Domains {
		domains[domain] = string(fate)
		switch fate {
		case Refused:
			access[domain] = "550 5.1.1 no such user"
		case Unknown:
			transport[domain] = "error:5.1.1 no such user"
		case Full:
			transport[domain] = "error:5.2.2 the mailbox is full"
		case Delivered, Greylist:
			transport[domain] = smtpTo(p.options.Deliver)
		}
	}
	for domain, addr := range p.options.Routes {
		transport[domain] = smtpTo(addr)
	}
	return map[string]string{"domains": table(domains, " "), "transport": table(transport, " "), "access": table(access, " ")}
}

// smtpTo writes host:port as a transport: in brackets, nothing is looked up.
func smtpTo(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return "smtp:[" + host + "]:" + port
}

func table(lines map[string]string, between string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		out.WriteString(name + between + lines[name] + "\n")
	}
	return out.String()
}
