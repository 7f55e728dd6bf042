package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"dateline/internal/news"
)

// PublishStory puts an event into the stream (subject stories.published unless
// m names another) and waits for the PubAck: then it is on disk. Without one
// nothing is known, and the same event may be published again.
func (b *Bus) PublishStory(ctx context.Context, m Message) error {
	msg := &nats.Msg{Subject: m.Subject, Data: m.Body, Header: nats.Header(m.Headers)}
	if msg.Subject == "" {
		msg.Subject = StorySubject
	}
	_, err := b.js.PublishMsg(ctx, msg)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) ||
		errors.As(err, &refused) && refused.ErrorCode == errCodeHeadersTooLarge:
		return fmt.Errorf("bus.PublishStory(%s): %w: an event may have %d bytes, of them less than 64 KiB headers",
			msg.Subject, news.ErrTooLarge, MaxMessage)
	case unreachable(err):
		return fmt.Errorf("bus.PublishStory(%s): %w: %w", msg.Subject, news.ErrUnavailable, err)
	}
	return fmt.Errorf("bus.PublishStory(%s): %w", msg.Subject, err)
}

// errCodeHeadersTooLarge is JSStreamHeaderExceedsMaximumErr of nats-server
// 2.15: JetStream's own limit, which nats.go has no name for.
const errCodeHeadersTooLarge = 10097

// beside is how many story events are handled at a time: enough for all of a
// busy second to wait for one commit of the database.
const beside = 16

// ConsumeStories hands every story event to take, one after the other in the
// order of the stream. What take gives back finishes the event: that may run
// beside up to beside others, and its Disposition says what becomes of the event.
//
// It ends without an error only with ctx, when all that was taken is finished;
// it survives lost connections, deleted consumers and changes of leader, and
// ends with an error when the settings were changed under it or the bus is
// closed.
//
// Until it is finished, the event is kept from coming back, however long it
// takes.
func (b *Bus) ConsumeStories(ctx context.Context, take func(context.Context, Message) (finish func() Disposition)) error {
	wait := minPause
	for {
		started := time.Now()
		err := b.consume(ctx, take)
		var settings *SettingsError
		switch {
		case ctx.Err() != nil:
			return nil
		case b.closed.Load():
			return errClosed
		case errors.As(err, &settings):
			b.trouble.Store(&err)
			return fmt.Errorf("bus.ConsumeStories: %w", err)
		}
		b.trouble.Store(&err)
		if time.Since(started) > maxPause {
			wait = minPause // it ran well for a while: this is a new trouble
		}
		b.log.Warn("reading stories was interrupted; trying again", "error", err, "after", wait)
		if pause(ctx, wait) != nil {
			return nil
		}
		wait = min(2*wait, maxPause)
	}
}

// How long to wait before reading again after an interruption.
const (
	minPause = 100 * time.Millisecond
	maxPause = 2 * time.Second
)

// consume reads until something interrupts it.
func (b *Bus) consume(ctx context.Context, take func(context.Context, Message) func() Disposition) error {
	consumer, err := b.ensure(ctx)
	if err != nil {
		return err
	}
	// One message is fetched at a time: events that wait in a buffer behind slow
	// ones would come back to somebody else meanwhile. The next one is asked for
	// as soon as this one is taken, so it costs nothing in the idle case.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(20*time.Second),
		jetstream.PullHeartbeat(2*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("bus: read %s: %w", ConsumerName, err)
	}
	defer messages.Stop()
	b.trouble.Store(nil)
	var finishing errgroup.Group
	finishing.SetLimit(beside)
	defer func() { _ = finishing.Wait() }() // they give no errors
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("bus: next message: %w", err)
		}
		b.takeOne(ctx, msg, take, &finishing)
	}
}

// takeOne hands over one message; finished, it is answered to the server.
func (b *Bus) takeOne(ctx context.Context, msg jetstream.Msg, take func(context.Context, Message) func() Disposition, finishing *errgroup.Group) {
	meta, err := msg.Metadata()
	if err != nil { // a message that is not JetStream's can't be on this subscription
		b.log.Error("message without metadata left alone", "error", err)
		return
	}
	stop := b.keepAlive(msg)
	finish := take(ctx, Message{Subject: msg.Subject(), Headers: msg.Headers(), Body: msg.Data(),
		Sequence: meta.Sequence.Stream, Deliveries: int(min(meta.NumDelivered, 1<<30)), At: meta.Timestamp.UTC()})
	finishing.Go(func() error { // waits while so many are being finished
		d := finish()
		stop()
		b.answer(msg, meta.Sequence.Stream, d)
		return nil
	})
}

// answer tells the server what becomes of a message.
func (b *Bus) answer(msg jetstream.Msg, sequence uint64, d Disposition) {
	var err error
	switch {
	case d.Done && d.Reason != "":
		err = msg.TermWithReason(d.Reason)
	case d.Done:
		err = msg.Ack()
	case d.After > 0:
		err = msg.NakWithDelay(d.After)
	default:
		err = msg.Nak()
	}
	if err != nil {
		b.log.Warn("answer to NATS failed; the story will come again", "sequence", sequence, "error", err)
	}
}

// keepAlive renews the message's AckWait until stop is called. It runs in a
// timer, so the common, fast message costs no goroutine.
func (b *Bus) keepAlive(msg jetstream.Msg) (stop func()) {
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(AckWait/3, func() {
		<-ready
		if err := msg.InProgress(); err == nil {
			timer.Reset(AckWait / 3)
		}
	})
	close(ready)
	return func() { timer.Stop() }
}

// Lag says how many story events wait in the stream, and how many were handed
// out and are not done: what would be lost with the NATS directory.
func (b *Bus) Lag(ctx context.Context) (pending, unacked uint64, err error) {
	consumer, err := b.js.Consumer(ctx, StreamName, ConsumerName)
	if err != nil {
		return 0, 0, fmt.Errorf("bus.Lag: %w", err)
	}
	info := consumer.CachedInfo()
	return info.NumPending, uint64(max(info.NumAckPending, 0)), nil
}
