# frozen_string_literal: true

require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "grpc"

module Hooke
  # What a call can fail with. Its cause is gRPC's error.
  class Error < StandardError
    DOMAIN = "hooke"

    # Name of the gRPC status code.
    attr_reader :code

    # One of the contract's ErrorReasons without its prefix; empty if not Hooke's answer.
    attr_reader :reason

    # The changing parts of the message ("nearest": ids like the one asked for).
    attr_reader :metadata

    # What is wrong with which field of the request.
    attr_reader :field_violations

    def initialize(message, code: self.class::STATUS, reason: "", metadata: {},
                   field_violations: {})
      super(message)
      @code = code
      @reason = reason
      @metadata = metadata
      @field_violations = field_violations
    end

    STATUS = "UNKNOWN"

    # Runs the block; a gRPC error of it is raised as the Error that it stands for.
    def self.translated(address)
      yield
    rescue GRPC::BadStatus => e
      raise of(e, address)
    end

    # The Error that a failed call to an address stands for.
    def self.of(error, address)
      code = CODES.fetch(error.code, "UNKNOWN")
      kind = KINDS.fetch(code, Error)
      info, field_violations = details(error)
      if info
        facts = { reason: info.reason, metadata: info.metadata.to_h, field_violations: }
        return kind.new(error.details, code:, **facts)
      end
      kind.new(kind == UnavailableError ? nobody_at(address) : error.details, code:)
    end

    # gRPC's own words are about sockets; the cause keeps them.
    def self.nobody_at(address)
      start = "start one with 'hooke serve --demo', or name another address"
      "no Hooke server answers at #{address}; #{start}"
    end

    # Our ErrorInfo, if there is one, and the violated fields.
    def self.details(error)
      packed = error.to_rpc_status&.details.to_a
      infos = unpacked(packed, Google::Rpc::ErrorInfo).select { |each| each.domain == DOMAIN }
      requests = unpacked(packed, Google::Rpc::BadRequest)
      violations = requests.flat_map { |each| each.field_violations.to_a }
      [infos.first, violations.to_h { |each| [each.field, each.description] }]
    end

    def self.unpacked(packed, kind)
      packed.filter_map { |each| each.unpack(kind) if each.is(kind) }
    end

    private_class_method :nobody_at, :details, :unpacked
  end

  # The request is wrong, whatever the state of the server.
  class InvalidArgumentError < Error
    STATUS = "INVALID_ARGUMENT"
  end

  # A right kind of value, beyond the end.
  class OutOfRangeError < Error
    STATUS = "OUT_OF_RANGE"
  end

  # The name means nothing on this server.
  class NotFoundError < Error
    STATUS = "NOT_FOUND"
  end

  # The name is taken.
  class AlreadyExistsError < Error
    STATUS = "ALREADY_EXISTS"
  end

  # A right request for a wrong state or a wrong kind of model.
  class FailedPreconditionError < Error
    STATUS = "FAILED_PRECONDITION"
  end

  # The server was told not to allow this.
  class PermissionDeniedError < Error
    STATUS = "PERMISSION_DENIED"
  end

  # Too much: memory, work that waits, or size.
  class ResourceExhaustedError < Error
    STATUS = "RESOURCE_EXHAUSTED"
  end

  # Nobody answers, or not now.
  class UnavailableError < Error
    STATUS = "UNAVAILABLE"
  end

  # The timeout passed.
  class DeadlineExceededError < Error
    STATUS = "DEADLINE_EXCEEDED"
  end

  # The call was cancelled.
  class CancelledError < Error
    STATUS = "CANCELLED"
  end

  # A stream was cut off, or its bytes are not those that were sent.
  class DataLossError < Error
    STATUS = "DATA_LOSS"
  end

  # A defect of the server.
  class InternalError < Error
    STATUS = "INTERNAL"
  end

  # Names of gRPC's codes by number, and the classes by name.
  class Error
    CODES = GRPC::Core::StatusCodes.constants.to_h do |name|
      [GRPC::Core::StatusCodes.const_get(name), name.to_s]
    end
    KINDS = subclasses.to_h { |kind| [kind::STATUS, kind] }
    private_constant :CODES, :KINDS
  end
end
