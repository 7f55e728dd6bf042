package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxReply bounds one answer of the browser; screenshots are the big ones.
const maxReply = 64 << 20

// errLost says that the browser went away in the middle of a command.
var errLost = errors.New("the browser's connection is lost")

// session speaks WebDriver BiDi: commands with numbers, answers in any order.
type session struct {
	socket *websocket.Conn
	window string // the browsing context every command goes to

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	lost    bool
}

type answer struct {
	Type    string          `json:"type"`
	ID      int             `json:"id"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
	Result  json.RawMessage `json:"result"`
}

type object = map[string]any

// openSession connects to the address that Firefox printed and picks its window.
func openSession(ctx context.Context, url string) (*session, error) {
	socket, _, err := websocket.Dial(ctx, url+"/session", nil)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	socket.SetReadLimit(maxReply)
	s := &session{socket: socket, waiting: map[int]chan answer{}}
	go s.read()
	// Test servers have certificates of their own making.
	wanted := object{"alwaysMatch": object{"acceptInsecureCerts": true}}
	if err := s.call(ctx, "session.new", object{"capabilities": wanted}, nil); err != nil {
		s.close()
		return nil, err
	}
	var tree struct {
		Contexts []struct {
			Context string `json:"context"`
		} `json:"contexts"`
	}
	if err := s.call(ctx, "browsingContext.getTree", object{}, &tree); err != nil {
		s.close()
		return nil, err
	}
	if len(tree.Contexts) == 0 {
		s.close()
		return nil, errors.New("the browser has no window")
	}
	s.window = tree.Contexts[0].Context
	return s, nil
}

func (s *session) close() { _ = s.socket.CloseNow() }

func (s *session) read() {
	for {
		_, raw, err := s.socket.Read(context.Background())
		if err != nil {
			s.abandon()
			return
		}
		var a answer
		if err := json.Unmarshal(raw, &a); err != nil || a.Type == "event" {
			continue
		}
		s.mu.Lock()
		waiter := s.waiting[a.ID]
		delete(s.waiting, a.ID)
		s.mu.Unlock()
		if waiter != nil {
			waiter <- a
		}
	}
}

// abandon ends every command that waits and every later one.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
	for id, waiter := range s.waiting {
		close(waiter)
		delete(s.waiting, id)
	}
}

func (s *session) enlist() (id int, waiter chan answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		return 0, nil, errLost
	}
	s.next++
	waiter = make(chan answer, 1)
	s.waiting[s.next] = waiter
	return s.next, waiter, nil
}

// call runs one command and decodes its result into result, unless that is nil.
func (s *session) call(ctx context.Context, method string, params object, result any) error {
	id, waiter, err := s.enlist()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	raw, err := json.Marshal(object{"id": id, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if err := s.socket.Write(ctx, websocket.MessageText, raw); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a, ok := <-waiter:
		return a.decode(method, ok, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (a answer) decode(method string, ok bool, result any) error {
	switch {
	case !ok:
		return fmt.Errorf("%s: %w", method, errLost)
	case a.Type == "error":
		return fmt.Errorf("%s: %s: %s", method, a.Error, a.Message)
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return fmt.Errorf("%s: result: %w", method, err)
	}
	return nil
}

// inWindow adds the window to the parameters of a browsingContext command.
func (s *session) inWindow(params object) object {
	params["context"] = s.window
	return params
}

// evaluate runs JavaScript in the page as if a person had just pressed a
// button, waits for a promise to settle and gives the value: a string as it is,
// anything else as the protocol's JSON.
func (s *session) evaluate(ctx context.Context, js string) (string, error) {
	var out struct {
		Type   string `json:"type"`
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	err := s.call(ctx, "script.evaluate", object{"expression": js, "awaitPromise": true,
		"userActivation": true, "target": object{"context": s.window}}, &out)
	if err != nil {
		return "", err
	}
	if out.Type == "exception" {
		return "", fmt.Errorf("javascript: %s", out.ExceptionDetails.Text)
	}
	var text string
	if json.Unmarshal(out.Result.Value, &text) != nil {
		text = string(out.Result.Value)
	}
	return text, nil
}

// withPatience is a context for one command of the browser.
func withPatience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// pollEvery is how often a condition of the page is asked for.
const pollEvery = 50 * time.Millisecond
