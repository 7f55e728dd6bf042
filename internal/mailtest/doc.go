// Package mailtest holds our mails against what mailbox providers, mail
// programs and laws want of them, and gives tests a real Postfix to send to. It
// is imported by tests only.
//
// [Lint] reads the bytes of a whole mail as a receiver would and says in words
// what is wrong with them; a mail of which it finds nothing has every header a
// bulk mail needs, two readable parts that say the same, and HTML that the mail
// programs of our readers show. It judges the bytes alone: it imports nothing of
// ours, so that it can't share a mistake with what composed them. It does not
// look at colours or at the picture that a mail program makes of a mail.
//
// [VerifyDKIM] checks the signature with a verifier that did not make it.
//
// [StartPostfix] runs Debian's Postfix in a folder of its own: what it answers,
// and the reports it sends, are a real mail server's. Where Postfix is missing
// that skips the test with a "NOT RUN" message, or fails it where CI is set.
package mailtest
