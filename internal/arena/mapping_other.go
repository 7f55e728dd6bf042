//go:build !unix

package arena

import "errors"

func mapping(int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte) {}
