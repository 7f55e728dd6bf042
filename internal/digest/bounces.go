package digest

// returnPath is where a mail's failure is reported to, and leaveAddress where a reader
// may write to leave.
func (s *Service) returnPath(string, string) string { return s.Mailer.Address() }

func (s *Service) leaveAddress(string, string) string { return "" }
