# frozen_string_literal: true

require_relative "helper"
require "google/rpc/status_pb"

# What a status with details becomes.
class ErrorsTest < Minitest::Test
  def packed(message)
    Google::Protobuf::Any.new.tap { |any| any.pack(message) }
  end

  def refused(domain)
    wrong = Google::Rpc::BadRequest::FieldViolation.new(field: "a.b", description: "no")
    info = { domain:, reason: "INVALID_FIELD", metadata: { "field" => "a.b" } }
    details = [Google::Rpc::BadRequest.new(field_violations: [wrong]),
               Google::Rpc::ErrorInfo.new(**info)].map { |each| packed(each) }
    status = Google::Rpc::Status.new(code: 3, message: "wrong", details:)
    trailer = { "grpc-status-details-bin" => Google::Rpc::Status.encode(status) }
    GRPC::BadStatus.new_status_exception(3, "wrong", trailer)
  end

  def raised(error)
    assert_raises(Hooke::Error) { Hooke::Error.translated("here:1") { raise error } }
  end

  def test_details_are_read
    error = raised(cause = refused("hooke"))
    assert_instance_of Hooke::InvalidArgumentError, error
    assert_equal %w[wrong INVALID_ARGUMENT INVALID_FIELD],
                 [error.message, error.code, error.reason]
    assert_equal({ "field" => "a.b" }, error.metadata)
    assert_equal({ "a.b" => "no" }, error.field_violations)
    assert_same cause, error.cause
  end

  def test_details_of_others_are_not_ours
    error = raised(refused("elsewhere"))
    assert_instance_of Hooke::InvalidArgumentError, error
    assert_equal ["", {}, {}], [error.reason, error.metadata, error.field_violations]
  end

  def test_broken_details_leave_the_status
    trailer = { "grpc-status-details-bin" => "\xFF\xFF".b }
    error = raised(GRPC::BadStatus.new_status_exception(5, "gone", trailer))
    assert_instance_of Hooke::NotFoundError, error
  end

  def test_every_code_stays
    codes = GRPC::Core::StatusCodes.constants - [:OK]
    kinds = codes.to_h do |name|
      code = GRPC::Core::StatusCodes.const_get(name)
      error = raised(GRPC::BadStatus.new_status_exception(code, "why"))
      assert_equal name.to_s, error.code
      [name, error.class]
    end
    assert_equal Hooke::Error, kinds[:ABORTED]
    assert_equal Hooke::OutOfRangeError, kinds[:OUT_OF_RANGE]
    assert_equal 12, (kinds.values.uniq - [Hooke::Error]).size
  end

  def test_nobody_answers
    error = Hooke::Client.open("localhost:1") do |client|
      assert_raises(Hooke::UnavailableError) { client.models }
    end
    assert_includes error.message, "no Hooke server answers at localhost:1"
  end
end
