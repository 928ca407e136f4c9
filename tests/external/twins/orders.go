// The orders of a small shop, as a program for rk.external(["./orders"], state="json").
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"
)

var status = map[string]string{
	"order_placed": "placed", "payment_captured": "paid", "payment_failed": "unpaid", "picked": "picked",
	"shipped": "shipped", "delivered": "delivered", "cancelled": "cancelled", "refunded": "refunded",
}

type row struct {
	Order  string      `json:"order"`
	Status *string     `json:"status"`
	Since  string      `json:"since"`
	Moves  json.Number `json:"moves"` // a string beyond 2^53
}

type object = map[string]any

type request struct {
	ID     int64              `json:"id"`
	Type   string             `json:"type"`
	Now    string             `json:"now"`
	Params map[string]float64 `json:"params"`
	Tables struct {
		Orders []row `json:"orders"`
	} `json:"tables"`
	Event struct {
		Kind    string `json:"kind"`
		Columns struct {
			Order string `json:"order"`
		} `json:"columns"`
	} `json:"event"`
	Action struct {
		Fields struct {
			Order string `json:"order"`
		} `json:"fields"`
	} `json:"action"`
}

type town struct {
	orders   map[string]row
	sequence []string
	patience float64
	touched  *string
	before   *row
}

func (t *town) put(one row) object {
	t.touched, t.before = &one.Order, nil
	if old, known := t.orders[one.Order]; known {
		t.before = &old
	} else {
		t.sequence = append(t.sequence, one.Order)
	}
	t.orders[one.Order] = one
	return object{"changes": []object{{"op": "upsert", "table": "orders", "row": one}}}
}

func (t *town) load(r request) object {
	t.orders, t.sequence, t.patience = map[string]row{}, nil, r.Params["patience_hours"]
	for _, one := range r.Tables.Orders {
		t.orders[one.Order] = one
		t.sequence = append(t.sequence, one.Order)
	}
	return object{}
}

func (t *town) rollback() object {
	if t.touched != nil && t.before != nil {
		t.orders[*t.touched] = *t.before
	} else if t.touched != nil {
		delete(t.orders, *t.touched)
		t.sequence = t.sequence[:len(t.sequence)-1]
	}
	t.touched = nil
	return object{}
}

// In gives the orders of a status, as long ago as that, in the order in which they came.
func (t *town) in(wanted string, now string, hours float64) []row {
	found := []row{}
	clock, _ := time.Parse(time.RFC3339Nano, now)
	for _, key := range t.sequence {
		one := t.orders[key]
		since, _ := time.Parse(time.RFC3339Nano, one.Since)
		if one.Status != nil && *one.Status == wanted && clock.Sub(since).Hours() > hours {
			found = append(found, one)
		}
	}
	return found
}

func reads(one row) []any {
	return []any{[]any{"orders", []string{one.Order}, []string{"status", "since"}}}
}

func (t *town) reconcile(now string) object {
	actions := []object{}
	add := func(rule, kind string, rows []row) {
		for _, one := range rows {
			fields := object{"order": one.Order}
			actions = append(actions, object{"rule": rule, "kind": kind, "fields": fields, "reads": reads(one)})
		}
	}
	add("remind_unpaid", "remind", t.in("unpaid", now, -1e9))
	add("chase_carrier", "chase", t.in("shipped", now, t.patience))
	return object{"actions": actions}
}

func (t *town) check(now string) object {
	found := []object{}
	for _, one := range t.in("paid", now, 24) {
		fields := object{"order": one.Order, "since": one.Since}
		found = append(found, object{"invariant": "paid for a day", "fields": fields, "reads": reads(one)})
	}
	return object{"violations": found}
}

func hello() object {
	handles := []string{}
	for kind := range status {
		handles = append(handles, kind)
	}
	sort.Strings(handles)
	// Not a map: the order of columns is that of the JSON.
	columns := json.RawMessage(`{"order": "VARCHAR", "status": "VARCHAR", "since": "TIMESTAMP", "moves": "BIGINT"}`)
	key := []string{"order"}
	return object{
		"protocol": 1, "name": "orders", "params": object{"patience_hours": 48},
		"tables":  object{"orders": object{"key": key, "columns": columns}},
		"handles": handles, "ignores": []string{"note_added"}, "acts": []string{"remind"},
		"rules":      []object{{"name": "remind_unpaid", "key": key}, {"name": "chase_carrier", "key": key}},
		"invariants": []object{{"name": "paid for a day", "key": key}},
		"rollback":   true, "reads": true,
	}
}

func (t *town) answer(r request) object {
	if r.Type != "rollback" {
		t.touched = nil
	}
	switch r.Type {
	case "hello":
		return hello()
	case "load":
		return t.load(r)
	case "apply":
		key, moved := r.Event.Columns.Order, status[r.Event.Kind]
		moves, _ := t.orders[key].Moves.Int64()
		return t.put(row{key, &moved, r.Now, json.Number(strconv.FormatInt(moves+1, 10))})
	case "act":
		one, moved := t.orders[r.Action.Fields.Order], "reminded"
		return t.put(row{r.Action.Fields.Order, &moved, r.Now, one.Moves})
	case "reconcile":
		return t.reconcile(r.Now)
	case "check":
		return t.check(r.Now)
	case "rollback":
		return t.rollback()
	}
	return object{"error": fmt.Sprintf("unknown request %q", r.Type)}
}

func main() {
	t := &town{orders: map[string]row{}}
	lines := bufio.NewReaderSize(os.Stdin, 1<<16)
	replies := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		reply := object{}
		if err := json.Unmarshal(line, &r); err != nil {
			reply["error"] = err.Error()
		} else if r.Type == "bye" {
			return
		} else {
			reply = t.answer(r)
		}
		reply["id"] = r.ID
		if err := replies.Encode(reply); err != nil {
			return
		}
	}
}
