package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// askPrefix stands before a topic: dateline.ask.reach.
const askPrefix = "dateline.ask."

// Ask puts a question to all processes that answer on the topic, and hands their
// answers to take as they come, until it has enough or ctx ends. Both are a good
// end: who asks can't know how many there are. Topics in use: reach, progress.
func (b *Bus) Ask(ctx context.Context, topic string, question []byte, take func(answer []byte) (enough bool)) error {
	inbox := b.conn.NewInbox()
	sub, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("bus.Ask(%s): %w", topic, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is closed: then it is gone as well
	if err := b.conn.PublishRequest(askPrefix+topic, inbox, question); err != nil {
		return fmt.Errorf("bus.Ask(%s): %w", topic, err)
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("bus.Ask(%s): %w", topic, err)
		case len(m.Data) == 0 && m.Header.Get("Status") == "503": // nobody answers on the topic
			return nil
		case take(m.Data):
			return nil
		}
	}
}

// OnAsk answers questions on the topic, each on a goroutine of its own; a nil answer
// is not sent. cancel ends that.
func (b *Bus) OnAsk(topic string, answer func(question []byte) []byte) (cancel func(), err error) {
	sub, err := b.conn.Subscribe(askPrefix+topic, func(m *nats.Msg) {
		go func() {
			if text := answer(m.Data); text != nil {
				if err := m.Respond(text); err != nil {
					b.log.Debug("a question was not answered", "topic", topic, "error", err)
				}
			}
		}()
	})
	if err != nil {
		return nil, fmt.Errorf("bus.OnAsk(%s): %w", topic, err)
	}
	if err := b.conn.Flush(); err != nil {
		b.log.Debug("subscription not confirmed yet", "topic", topic, "error", err)
	}
	return sync.OnceFunc(func() { _ = sub.Unsubscribe() }), nil
}
