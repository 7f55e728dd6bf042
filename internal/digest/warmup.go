package digest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dateline/internal/email"
)

const (
	// reserveAtOnce is how many of a day's mails a process takes for itself at once.
	reserveAtOnce = 50
	// warmUpDays after the first a provider knows us: 100 mails have become 1.6 million.
	warmUpDays = 14
)

// warmup holds a new sender back (reliability.md 4): a provider gets some mails on the
// first day and twice as many on each further one, whatever the number of processes. A
// day without mails counts for nothing.
type warmup struct {
	mu   sync.Mutex
	day  string
	left map[string]int // by provider: reserved and not used
}

// warmUpLimit is how many mails a provider may get on a day that so many days with mails
// came before. A provider for which an edition is paused gets no more than the day
// before.
func warmUpLimit(p email.Provider, days int, troubled bool) int {
	if troubled && days > 0 {
		days--
	}
	return p.WarmUp << min(days, warmUpDays)
}

// mayBegin reports whether a mail to a provider may begin today. Where not, the
// provider's lane is shut until tomorrow (UTC).
func (s *Service) mayBegin(ctx context.Context, provider string) (bool, error) {
	if !s.WarmUp {
		return true, nil
	}
	w := &s.warmup
	w.mu.Lock()
	defer w.mu.Unlock()
	now := s.now()
	day := now.Format(dateFormat)
	if w.day != day {
		w.day, w.left = day, map[string]int{}
	}
	if w.left[provider] == 0 {
		granted, err := s.reserve(ctx, provider, day)
		if err != nil {
			return false, err
		}
		w.left[provider] = granted
	}
	if w.left[provider] == 0 {
		s.lanes.shut(providerLane(provider), now.Truncate(24*time.Hour).Add(24*time.Hour))
		s.log.InfoContext(ctx, "warm-up: enough for today", "provider", provider)
		return false, nil
	}
	w.left[provider]--
	return true, nil
}

func (s *Service) reserve(ctx context.Context, provider, day string) (int, error) {
	p := email.ProviderNamed(provider)
	days, err := s.Store.ProviderDays(ctx, provider, day)
	if err != nil {
		return 0, fmt.Errorf("digest: warm-up: %w", err)
	}
	limit := warmUpLimit(p, days, s.pauses.anyOf(provider))
	if days >= warmUpDays {
		return reserveAtOnce, nil
	}
	granted, err := s.Store.ReserveMails(ctx, provider, day, reserveAtOnce, limit)
	if err != nil {
		return 0, fmt.Errorf("digest: warm-up: %w", err)
	}
	return granted, nil
}
