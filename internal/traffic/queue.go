package traffic

// task is something that will happen in a simulation.
type task struct {
	at    int64  // µs since the beginning
	order uint64 // of putting in, so that no two tasks tie
	what  action
	ref   int32  // client or slot
	conn  uint64 // the connection that the slot must still hold
	pool  int32  // doScanned
}

type action uint8

const (
	doAttempt   action = iota // ref is a client
	doStep                    // ref is a slot: the connection's next step
	doTimeout                 // ref is a slot: the server's patience ends
	doLetGo                   // ref is a slot: the group's time is over
	doFold                    // a second of folded refusals is over
	doBeat                    // say that time goes on
	doPatrol                  // cut what is blocked by now
	doRetry                   // ref is a client: again, after a refusal
	doScanned                 // ref is a slot of pool: its message has been scanned
	doStop                    // ref is a restart: the server goes down
	doStart                   // the server is back
	doStepClock               // ref is a step of the clock
	doEnd                     // the simulation is over
)

func (t *task) before(u *task) bool {
	return t.at < u.at || t.at == u.at && t.order < u.order
}

// queue is a binary heap of tasks, earliest first. container/heap would box
// every task.
type queue struct {
	tasks []task
	order uint64
}

func (q *queue) put(t task) {
	q.order++
	t.order = q.order
	q.tasks = append(q.tasks, t)
	i := len(q.tasks) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(&q.tasks[parent]) {
			break
		}
		q.tasks[i] = q.tasks[parent]
		i = parent
	}
	q.tasks[i] = t
}

// take removes the earliest task. The queue must not be empty.
func (q *queue) take() task {
	first := q.tasks[0]
	last := len(q.tasks) - 1
	t := q.tasks[last]
	q.tasks = q.tasks[:last]
	if last == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && q.tasks[child+1].before(&q.tasks[child]) {
			child++
		}
		if !q.tasks[child].before(&t) {
			break
		}
		q.tasks[i] = q.tasks[child]
		i = child
	}
	q.tasks[i] = t
	return first
}
