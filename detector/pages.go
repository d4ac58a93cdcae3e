package detector

// pages keep many values of one kind, which never move. Each has a number, from
// 1 on, that takes half the room of a pointer; 0 stands for none.
type pages[T any] struct {
	all  []*[perPage]T
	made uint32 // the last number
}

const perPage = 512

func (p *pages[T]) at(n uint32) *T { return &p.all[n/perPage][n%perPage] }

// more returns the number of a further value.
func (p *pages[T]) more() uint32 {
	p.made++
	if p.made/perPage >= uint32(len(p.all)) {
		p.all = append(p.all, new([perPage]T))
	}
	return p.made
}
